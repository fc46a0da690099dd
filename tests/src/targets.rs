//! ARM targets under QEMU: where the runner programs run, and how their replies come back.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    slice,
};

use residua_runner::case;
use residua_shared::verdict::Region;

/// A case with its own memory.
pub type Case = case::Case<Vec<u8>>;
/// A reply with its own memory.
pub type Reply = case::Reply<Vec<u8>, Vec<Region>>;
/// An answer with its own memory.
pub type Answer = case::Answer<Vec<u8>, Vec<Region>>;

/// Longer than any batch takes on a slow machine: a program that hangs must not hang the tests.
const TIMEOUT_SECONDS: &str = "900";

/// A processor that QEMU stands in for, with a program of its own.
#[derive(Debug)]
pub struct Target {
    /// Rust's name of the target.
    pub name: &'static str,
    /// The environment variable that holds the path of the runner program.
    pub variable: &'static str,
    /// QEMU and its arguments before the program.
    pub qemu: &'static [&'static str],
    /// Whether it is a microcontroller: no tract, files instead of standard streams.
    pub bare: bool,
    /// How many kernels of the native engine it can run.
    pub kernels: u8,
}

/// What a program took in all.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Instructions that it executed.
    pub instructions: u64,
    /// Pages of 4 KiB that it loaded from or stored to.
    pub pages: u64,
}

/// QEMU for a Cortex-M machine.
const fn machine(
    name: &'static str,
    variable: &'static str,
    qemu: &'static [&'static str],
    kernels: u8,
) -> Target {
    Target {
        name,
        variable,
        qemu,
        bare: true,
        kernels,
    }
}

/// 64-bit Arm with Linux.
pub const AARCH64: Target = Target {
    name: "aarch64-unknown-linux-gnu",
    variable: "RESIDUA_RUNNER_AARCH64",
    qemu: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
    bare: false,
    kernels: 3,
};

/// 32-bit Arm with NEON and Linux.
pub const ARMV7: Target = Target {
    name: "armv7-unknown-linux-gnueabihf",
    variable: "RESIDUA_RUNNER_ARMV7",
    qemu: &["qemu-arm", "-L", "/usr/arm-linux-gnueabihf"],
    bare: false,
    kernels: 2,
};

/// A Cortex-M7.
pub const CORTEX_M7: Target = machine(
    "thumbv7em-none-eabihf",
    "RESIDUA_RUNNER_CORTEX_M7",
    &["qemu-system-arm", "-M", "mps2-an500"],
    2,
);

/// A Cortex-M55.
pub const CORTEX_M55: Target = machine(
    "thumbv8m.main-none-eabihf",
    "RESIDUA_RUNNER_CORTEX_M55",
    &["qemu-system-arm", "-M", "mps3-an547"],
    3,
);

/// All of them.
pub const TARGETS: [&Target; 4] = [&AARCH64, &ARMV7, &CORTEX_M7, &CORTEX_M55];

/// What QEMU's full-system machines are given beside the machine and the program.
const BARE_ARGUMENTS: [&str; 8] = [
    "-nographic",
    "-monitor",
    "none",
    "-serial",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
    "-kernel",
];

impl Target {
    /// The replies to each case, a program run for all of them; or what went wrong, with the number
    /// of the case it went wrong in.
    pub fn run(&self, cases: &[Case]) -> Result<Vec<Vec<Reply>>, String> {
        self.run_with(cases, &[])
    }

    /// One case with its instructions counted, by a processor named as QEMU does and with the
    /// plugin and libraries in `tools`; `pages` counts those too, which takes much longer.
    pub fn count(
        &self,
        case: &Case,
        cpu: &str,
        tools: &Path,
        pages: bool,
    ) -> Result<Count, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let out = folder.path().join("count");
        let plugin = tools.join("count.so");
        let pages = if pages { "on" } else { "off" };
        let plugin = format!("{},out={},pages={pages}", plugin.display(), out.display());
        let library = tools.join(format!("{}.so", self.name));
        let library = format!("LD_PRELOAD={}", library.display());
        let mut options = vec!["-cpu", cpu, "-plugin", &plugin, "-seed", "1"];
        if !self.bare {
            options.extend(["-E", &library]);
        }
        let replies = self.run_with(slice::from_ref(case), &options)?;
        if let Some(Reply::Failed(why)) = replies.concat().first() {
            return Err(format!("{}: {why}", self.name));
        }
        counted(&out).map_err(|error| format!("{}: {error}", self.name))
    }

    fn run_with(&self, cases: &[Case], options: &[&str]) -> Result<Vec<Vec<Reply>>, String> {
        let text = |error: std::io::Error| format!("{}: {error}", self.name);
        let folder = tempfile::tempdir().map_err(text)?;
        let (input, output) = (folder.path().join("cases"), folder.path().join("replies"));
        fs::write(&input, records(cases)).map_err(text)?;
        let mut command = self.command(options)?;
        command.current_dir(folder.path()).stderr(Stdio::piped());
        if !self.bare {
            command
                .stdin(File::open(&input).map_err(text)?)
                .stdout(File::create(&output).map_err(text)?);
        }
        let ended = command.output().map_err(text)?;
        let replies = fs::read(&output).unwrap_or_default();
        let replies = sorted(cases, &replies);
        if replies.len() == cases.len() && ended.status.success() {
            return Ok(replies);
        }
        Err(format!(
            "{}: the runner ended with {} in case {} of {} {}",
            self.name,
            ended.status,
            replies.len(),
            cases.len(),
            String::from_utf8_lossy(&ended.stderr).trim()
        ))
    }

    fn command(&self, options: &[&str]) -> Result<Command, String> {
        let program: OsString = env::var_os(self.variable).ok_or_else(|| {
            format!(
                "{} is not set: run the tests by `cargo xtask test`, which builds the program for \
                 {} that it names",
                self.variable, self.name
            )
        })?;
        if !Path::new(&program).is_file() {
            return Err(format!(
                "{}={} is no file: run the tests by `cargo xtask test`, which builds it",
                self.variable,
                program.display()
            ));
        }
        let mut command = Command::new("timeout");
        command.arg(TIMEOUT_SECONDS).args(self.qemu).args(options);
        if self.bare {
            command.args(BARE_ARGUMENTS);
        }
        // QEMU shows the host's /proc/cpuinfo, in which tract finds no NEON.
        command.env("TRACT_CPU_ARM32_NEON", "true").arg(program);
        Ok(command)
    }
}

/// What the plugin wrote.
pub(crate) fn counted(out: &Path) -> Result<Count, String> {
    let text = fs::read_to_string(out).map_err(|error| error.to_string())?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(instructions)), Some(Ok(pages))) => Ok(Count {
            instructions,
            pages,
        }),
        _ => Err(format!("the plugin wrote \"{text}\"")),
    }
}

fn records(cases: &[Case]) -> Vec<u8> {
    let mut records = Vec::new();
    for case in cases {
        let case = postcard::to_extend(case, Vec::new()).expect("a Vec takes any case");
        records.extend((case.len() as u32).to_le_bytes());
        records.extend(case);
    }
    records
}

/// The replies by case, up to the last case that was wholly replied to.
fn sorted(cases: &[Case], mut replies: &[u8]) -> Vec<Vec<Reply>> {
    let mut next = || {
        let (length, rest) = replies.split_first_chunk()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        replies = rest;
        postcard::from_bytes::<Reply>(record).ok()
    };
    let of_case = |case: &Case| {
        let mut replies = Vec::new();
        for _ in 0..case.images.len() / case.input.area() {
            replies.push(next()?);
            if let Some(Reply::Failed(_)) = replies.last() {
                break;
            }
        }
        Some(replies)
    };
    cases.iter().map_while(of_case).collect()
}
