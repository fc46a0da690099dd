//! The runner for Linux targets: cases from standard input, replies to standard output.

use std::io::{self, BufWriter, Read, Write};

use residua_edge::regions::{RegionEntry, RunEntry};
use residua_runner::inspect::{
    MAX_AREA, MAX_FILTER, MAX_REPLY, MAX_SCRATCH, MAX_WIDTH, Memory, run,
};

fn main() -> io::Result<()> {
    let mut memory = Memory {
        scratch: &mut vec![0; MAX_SCRATCH],
        reconstruction: &mut vec![0; MAX_AREA],
        residual: &mut vec![0; MAX_WIDTH],
        filter: &mut vec![0; MAX_FILTER],
        map: &mut vec![0; MAX_AREA],
        mask: &mut vec![0; MAX_AREA],
        runs: &mut vec![RunEntry::EMPTY; MAX_AREA / 2],
        regions: &mut vec![RegionEntry::EMPTY; MAX_AREA / 4],
        reply: &mut vec![0; MAX_REPLY],
    };
    let mut cases = io::stdin().lock();
    let mut replies = BufWriter::new(io::stdout().lock());
    while let Some(record) = next(&mut cases)? {
        let case = postcard::from_bytes(&record).map_err(io::Error::other)?;
        let mut written = Ok(());
        run(&case, &mut memory, &mut |reply| {
            let length = (reply.len() as u32).to_le_bytes();
            if written.is_ok() {
                let write = replies.write_all(&length);
                written = write.and_then(|()| replies.write_all(reply));
            }
        });
        written?;
        // What came before a crash tells which case it was.
        replies.flush()?;
    }
    Ok(())
}

/// The next record, `None` at the end.
fn next(cases: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = Vec::new();
    cases.by_ref().take(4).read_to_end(&mut length)?;
    let Ok(length) = length.try_into() else {
        return Ok(None);
    };
    let mut record = vec![0; u32::from_le_bytes(length) as usize];
    cases.read_exact(&mut record)?;
    Ok(Some(record))
}
