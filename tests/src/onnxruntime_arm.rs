//! onnxruntime on 64-bit ARM under QEMU, for its instructions to be counted.

use std::{fs, path::Path, process::Command};

use residua_shared::frame::Size;

use crate::targets::{AARCH64, Count, counted};

/// Runs after which nothing is allocated for the first time any more.
const SETTLING: u32 = 2;
/// Runs whose mean is taken: threads that wait make a count differ by some thousands.
const RUNS: u32 = 8;

/// Arm's number of a processor, by which onnxruntime chooses its kernels.
fn part(cpu: &str) -> Option<&'static str> {
    match cpu {
        "cortex-a72" => Some("0xd08"),
        "cortex-a76" => Some("0xd0b"),
        _ => None,
    }
}

/// Instructions for one inference of a model with a graph of this size, and the pages that a process
/// with one touches. `tools` hold the plugin and the guests' libraries, `onnxruntime` the program.
pub fn count(
    model: &[u8],
    graph: Size,
    cpu: &str,
    tools: &Path,
    onnxruntime: &Path,
) -> Result<(f64, u64), String> {
    let part = part(cpu).ok_or_else(|| format!("onnxruntime: nothing is known of {cpu}"))?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = folder.path().join("model.onnx");
    fs::write(&file, model).map_err(|error| error.to_string())?;
    let run = |runs: u32, pages: bool| -> Result<Count, String> {
        let (plugin, out) = (tools.join("count.so"), folder.path().join("count"));
        let pages = if pages { "on" } else { "off" };
        let plugin = format!("{},out={},pages={pages}", plugin.display(), out.display());
        let random = tools.join(format!("{}.so", AARCH64.name));
        let cpuinfo = onnxruntime.join("cpuinfo.so");
        let preload = format!("LD_PRELOAD={}:{}", random.display(), cpuinfo.display());
        let part = format!("CPU_PART={part}");
        // It writes into the user's home.
        let home = format!("HOME={}", folder.path().display());
        let [qemu, arguments @ ..] = AARCH64.qemu else {
            return Err("no QEMU".into());
        };
        let mut command = Command::new(qemu);
        command.args(arguments).args(["-cpu", cpu, "-seed", "1"]);
        command.args(["-plugin", &plugin, "-E", &preload, "-E", &part, "-E", &home]);
        command.arg(onnxruntime.join("onnxruntime")).arg(&file);
        command.args([graph.width(), graph.height()].map(|side| side.to_string()));
        let ended = command.arg(runs.to_string()).output();
        let ended = ended.map_err(|error| format!("{qemu}: {error}"))?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            return Err(format!(
                "onnxruntime on {cpu}: {}: {}",
                ended.status,
                said.trim()
            ));
        }
        counted(&out).map_err(|error| format!("onnxruntime on {cpu}: {error}"))
    };
    let (few, all) = (run(SETTLING, false)?, run(SETTLING + RUNS, false)?);
    let instructions = all.instructions.saturating_sub(few.instructions);
    Ok((instructions as f64 / f64::from(RUNS), run(1, true)?.pages))
}
