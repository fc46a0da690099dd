//! The runner for Linux targets: cases from standard input, replies to standard output.

use std::io::{self, BufWriter, Read, Write};

use residua_runner::inspect::{Storage, run};

fn main() -> io::Result<()> {
    let mut storage = Storage::default();
    let mut memory = storage.memory();
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
