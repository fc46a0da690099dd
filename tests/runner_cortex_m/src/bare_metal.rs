//! The program proper.

use cortex_m_rt::entry;
use residua_edge::regions::{RegionEntry, RunEntry};
use residua_runner::inspect::{
    MAX_AREA, MAX_CASE, MAX_FILTER, MAX_REPLY, MAX_SCRATCH, MAX_WEIGHTS, MAX_WIDTH, Memory, run,
};
use semihosting::{
    fs::File,
    io::{self, Read, Write},
};

#[entry]
fn main() -> ! {
    static mut CASE: [u8; MAX_CASE] = [0; MAX_CASE];
    static mut WEIGHTS: [u8; MAX_WEIGHTS] = [0; MAX_WEIGHTS];
    static mut SCRATCH: [u8; MAX_SCRATCH] = [0; MAX_SCRATCH];
    static mut RECONSTRUCTION: [i32; MAX_AREA] = [0; MAX_AREA];
    static mut RESIDUAL: [i32; MAX_WIDTH] = [0; MAX_WIDTH];
    static mut FILTER: [u32; MAX_FILTER] = [0; MAX_FILTER];
    static mut MAP: [u32; MAX_AREA] = [0; MAX_AREA];
    static mut MASK: [u8; MAX_AREA] = [0; MAX_AREA];
    static mut RUNS: [RunEntry; MAX_AREA / 2] = [RunEntry::EMPTY; MAX_AREA / 2];
    static mut REGIONS: [RegionEntry; MAX_AREA / 4] = [RegionEntry::EMPTY; MAX_AREA / 4];
    static mut REPLY: [u8; MAX_REPLY] = [0; MAX_REPLY];
    let mut memory = Memory {
        weights: WEIGHTS,
        scratch: SCRATCH,
        reconstruction: RECONSTRUCTION,
        residual: RESIDUAL,
        filter: FILTER,
        map: MAP,
        mask: MASK,
        runs: RUNS,
        regions: REGIONS,
        reply: REPLY,
    };
    let done = run_all(CASE, &mut memory);
    semihosting::process::exit(i32::from(done.is_err()))
}

fn run_all(buffer: &mut [u8], memory: &mut Memory<'_>) -> io::Result<()> {
    let mut cases = File::open(c"cases")?;
    let mut replies = File::create(c"replies")?;
    while let Some(record) = next(&mut cases, buffer)? {
        let case = postcard::from_bytes(record).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut written = Ok(());
        run(&case, memory, &mut |reply| {
            let length = (reply.len() as u32).to_le_bytes();
            if written.is_ok() {
                let write = replies.write_all(&length);
                written = write.and_then(|()| replies.write_all(reply));
            }
        });
        written?;
    }
    Ok(())
}

/// The next record, `None` at the end.
fn next<'b>(cases: &mut File, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
    let mut length = [0; 4];
    if cases.read(&mut length)? == 0 {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length) as usize;
    let record = buffer
        .get_mut(..length)
        .ok_or(io::ErrorKind::InvalidInput)?;
    cases.read_exact(record)?;
    Ok(Some(record))
}
