//! Training as a process that may be killed, resumed and repeated.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use residua_host::{
    synth::{self, Family},
    train::{
        augmentation::Flip,
        run::{Metrics, RunFolder},
    },
};
use residua_shared::frame::Size;
use tempfile::TempDir;

const EPOCHS: &str = "4";

/// A scratch folder with a small data set.
fn scratch() -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let mut options = synth::Options::new(Family::Cloth, Size::new(64, 64).unwrap());
    (options.train, options.good, options.per_kind) = (40, 1, 0);
    synth::generate(&options, &data).unwrap();
    (scratch, data)
}

fn command(data: &Path, run: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residua"));
    command
        .args(["train", "--device", "cpu", "--preset", "edge-tiny"])
        .args(["--batch", "2", "--epochs", EPOCHS])
        .args(more)
        .arg("--data")
        .arg(data)
        .arg("--out")
        .arg(run)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn train(data: &Path, run: &Path, more: &[&str]) -> Output {
    command(data, run, more).output().unwrap()
}

#[track_caller]
fn trained(data: &Path, run: &Path, more: &[&str]) {
    let output = train(data, run, more);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[track_caller]
fn refused(data: &Path, run: &Path, more: &[&str], words: &[&str]) {
    let output = train(data, run, more);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    for word in words {
        assert!(error.contains(word), "no {word} in {error}");
    }
}

/// Weights and moments by file name, and the metrics without their times.
fn result(run: &Path) -> (BTreeMap<String, Vec<u8>>, Vec<Metrics>) {
    let mut tensors = BTreeMap::new();
    for entry in fs::read_dir(run).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            tensors.insert(name, fs::read(&path).unwrap());
        }
    }
    let metrics = RunFolder::open(run).unwrap().metrics().unwrap();
    let timeless = metrics.into_iter().map(|metrics| Metrics {
        seconds: 0.0,
        images_per_second: 0.0,
        waiting: 0.0,
        ..metrics
    });
    (tensors, timeless.collect())
}

fn epochs(run: &Path) -> u32 {
    RunFolder::open(run).map_or(0, |run| run.state().epoch)
}

/// Kills the training (SIGKILL) as soon as `epochs` are done.
fn kill_after(mut child: Child, run: &Path, wanted: u32) {
    let start = Instant::now();
    while epochs(run) < wanted {
        assert!(start.elapsed() < Duration::from_secs(120), "no epoch ended");
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_training_resumes_to_the_same_bits() {
    let (scratch, data) = scratch();
    let straight = scratch.path().join("straight");
    trained(&data, &straight, &[]);
    let killed = scratch.path().join("killed");
    kill_after(command(&data, &killed, &[]).spawn().unwrap(), &killed, 1);
    // Once more, in a resumed one.
    if epochs(&killed) < 2 {
        let child = command(&data, &killed, &["--resume"]).spawn().unwrap();
        kill_after(child, &killed, 2);
    }
    assert!(epochs(&killed) <= 4);
    let log = killed.join("metrics.jsonl");
    let torn = fs::read_to_string(&log).unwrap() + "{\"epoch\":9,\"lo";
    fs::write(&log, torn).unwrap();
    fs::write(killed.join("last-9.safetensors"), "half a file").unwrap();
    fs::write(killed.join("state.json.partial"), "{").unwrap();
    trained(&data, &killed, &["--resume"]);
    assert_eq!(result(&killed), result(&straight));
}

#[test]
fn equal_seeds_give_equal_bits_on_any_number_of_threads() {
    let (scratch, data) = scratch();
    let run = |name: &str, threads: &str, seed: &str| {
        let run = scratch.path().join(name);
        let mut command = command(&data, &run, &["--seed", seed]);
        let status = command.env("RAYON_NUM_THREADS", threads).status().unwrap();
        assert!(status.success());
        result(&run)
    };
    let one = run("one", "1", "7");
    assert_eq!(one, run("again", "1", "7"));
    assert_eq!(one, run("two", "2", "7"));
    assert_ne!(one, run("other", "1", "8"));
}

#[test]
fn the_epoch_with_the_lowest_held_out_loss_is_kept() {
    let (scratch, data) = scratch();
    let path = scratch.path().join("run");
    // A high constant rate, so that the last epoch is not simply the best.
    trained(&data, &path, &["--schedule", "constant", "--lr", "0.02"]);
    let run = RunFolder::open(&path).unwrap();
    let metrics = run.metrics().unwrap();
    let best = metrics
        .iter()
        .min_by(|a, b| a.held_out_loss.total_cmp(&b.held_out_loss))
        .unwrap();
    assert_eq!(run.state().kept_epoch, best.epoch);
    assert_eq!(run.state().kept_loss, best.held_out_loss);
    run.best(&candle_core::Device::Cpu).unwrap();
}

#[test]
fn a_training_ends_when_its_patience_does() {
    let (scratch, data) = scratch();
    let path = scratch.path().join("run");
    // A rate so high that the held-out loss soon rises.
    let restless = ["--schedule", "constant", "--lr", "0.1", "--patience", "2"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_residua"));
    command
        .args(["train", "--device", "cpu", "--preset", "edge-tiny"])
        .args(["--epochs", "60"])
        .args(restless)
        .arg("--data")
        .arg(&data)
        .arg("--out")
        .arg(&path);
    assert!(command.output().unwrap().status.success());
    let state = RunFolder::open(&path).unwrap().state();
    assert_eq!(state.epoch, state.kept_epoch + 2);
    assert!(state.epoch < 60);
}

#[test]
fn without_a_terminal_each_epoch_is_a_line() {
    let (scratch, data) = scratch();
    let output = train(&data, &scratch.path().join("run"), &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    let epochs: Vec<&str> = text.lines().filter(|l| l.starts_with("epoch ")).collect();
    assert_eq!(epochs.len(), 4, "{text}");
    for (line, number) in epochs.into_iter().zip(1..) {
        assert!(line.starts_with(&format!("epoch {number}/{EPOCHS}  ")));
        for field in ["images/s", "loss ", "held out ", " left", "% waiting"] {
            assert!(line.contains(field), "no {field} in {line}");
        }
    }
    let start = text.lines().next().unwrap();
    assert!(start.contains("by the CPU"), "{start}");
    let end = text
        .lines()
        .find(|line| line.starts_with("trained 4 epochs"));
    assert!(end.unwrap().contains("% of the time"), "{text}");
    assert!(!text.contains('\u{1b}'), "control characters in {text:?}");
}

#[test]
fn a_diverged_training_goes_on_with_a_lower_rate() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    let diverging = ["--schedule", "constant", "--lr", "1e30"];
    refused(&data, &run, &diverging, &["not a finite number", "--lr"]);
    trained(&data, &run, &["--resume", "--lr", "0.001"]);
    assert_eq!(epochs(&run), 4);
}

#[test]
fn a_resumed_training_refuses_what_contradicts_it() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    trained(&data, &run, &[]);
    refused(&data, &run, &[], &["--resume"]);
    let before = result(&run);
    for (option, value) in [
        ("--batch", "3"),
        ("--objective", "mse"),
        ("--loss", "mse,ssim:0.1"),
        ("--gain", "0.2"),
        ("--offset", "5"),
        ("--gradient", "0.1"),
        ("--flip", "both"),
        ("--blemished", "0.5"),
        ("--seed", "5"),
    ] {
        let more = ["--resume", option, value];
        // An option given twice is clap's error, so that the one in question is given alone.
        let output = Command::new(env!("CARGO_BIN_EXE_residua"))
            .args(["train", "--data"])
            .arg(&data)
            .arg("--out")
            .arg(&run)
            .args(more)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(option), "no {option} in {error}");
    }
    assert_eq!(result(&run), before);
}

#[test]
fn a_run_keeps_its_loss() {
    let (scratch, data) = scratch();
    let trained = |name: &str, more: &[&str]| {
        let run = scratch.path().join(name);
        // A rate that no budget changes.
        trained(&data, &run, &[&["--schedule", "constant"], more].concat());
        run
    };
    let mixed = "mse:4,ms-ssim:0.5";
    trained("run", &["--loss", mixed, "--minutes", "0.00001"]);
    let run = trained("run", &["--resume", "--loss", "ms-ssim:0.5,mse:4.0"]);
    assert_eq!(epochs(&run), 4);
    let straight = trained("straight", &["--loss", mixed]);
    assert!(result(&run) == result(&straight));
    let plain = trained("plain", &[]);
    assert!(result(&run) != result(&plain));

    // As written before there was a choice.
    let config = plain.join("config.toml");
    edit(&config, "loss = \"mse\"\n", "");
    trained("plain", &["--resume", "--loss", "mse"]);
    edit(&config, "loss = \"mse\"", "loss = \"mae\"");
    let error = RunFolder::open(&plain).unwrap_err().to_string();
    for word in ["config.toml", "`mae`", "ms-ssim", "restore it"] {
        assert!(error.contains(word), "no {word} in {error}");
    }
    let other = scratch.path().join("other");
    let unknown = ["--loss", "mse:0.5,mae"];
    refused(&data, &other, &unknown, &["--loss", "`mae`", "ms-ssim"]);
    assert!(!other.exists());
}

#[test]
fn a_run_keeps_its_variations() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    let varied = [
        "--gain",
        "0.3",
        "--offset",
        "20",
        "--gradient",
        "0.25",
        "--flip",
        "both",
    ];
    trained(&data, &run, &varied);
    let augmentation = RunFolder::open(&run)
        .unwrap()
        .config()
        .training
        .augmentation();
    assert_eq!((augmentation.gain, augmentation.offset), (0.3, 20.0));
    assert_eq!(
        (augmentation.gradient, augmentation.flip),
        (0.25, Flip::Both)
    );
    trained(&data, &run, &[&["--resume"], &varied[..]].concat());

    let plain = scratch.path().join("plain");
    trained(&data, &plain, &[]);
    assert!(result(&run) != result(&plain));
    // As written before there was a choice: it means the objective's default.
    let config = plain.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let start = text.find("[training.augmentation]").unwrap();
    let end = start + text[start..].find("\n\n").unwrap();
    fs::write(&config, text[..start].to_owned() + &text[end..]).unwrap();
    trained(
        &data,
        &plain,
        &["--resume", "--gain", "0.15", "--blemished", "0.8"],
    );

    let none = scratch.path().join("none");
    let idle = ["--objective", "mse", "--blemished", "0.5"];
    refused(&data, &none, &idle, &["--blemished", "--objective repair"]);
    refused(&data, &none, &["--gain", "1"], &["--gain", "0 to 0.9"]);
    assert!(!none.exists());
}

#[test]
fn a_budget_of_time_ends_with_a_valid_run() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    trained(&data, &run, &["--minutes", "0.00001"]);
    assert_eq!(epochs(&run), 1);
    let run = RunFolder::open(&run).unwrap();
    run.best(&candle_core::Device::Cpu).unwrap();
}

/// Puts `to` for `from` in a file of the run.
fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "no {from} in {text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_run_with_senseless_numbers_is_refused_by_their_names() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    trained(&data, &run, &[]);
    let (config, state) = (run.join("config.toml"), run.join("state.json"));
    for (file, from, to, field) in [
        (&config, "batch = 2", "batch = 0", "training.batch"),
        (&config, "crop = 128", "crop = 0", "training.crop"),
        (
            &config,
            "learning_rate = ",
            "learning_rate = -",
            "learning_rate",
        ),
        (&config, "gain = ", "gain = -", "training.augmentation"),
        (&state, "\"seconds\": ", "\"seconds\": -", "seconds"),
        (&state, "\"epoch\": 4", "\"epoch\": 0", "kept_epoch"),
    ] {
        let whole = fs::read(file).unwrap();
        edit(file, from, to);
        let name = file.to_str().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_residua"))
            .args(["train", "--resume", "--data"])
            .arg(&data)
            .arg("--out")
            .arg(&run)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        for word in [name, field, "restore it"] {
            assert!(error.contains(word), "no {word} in {error}");
        }
        fs::write(file, whole).unwrap();
    }
}

#[test]
fn what_a_kill_left_undone_is_done_on_resuming() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    trained(&data, &run, &[]);
    let before = result(&run);
    // As if killed right after the last epoch's state was written.
    fs::remove_file(run.join("curve.svg")).unwrap();
    fs::write(run.join("last-3.safetensors"), "of the epoch before").unwrap();
    trained(&data, &run, &["--resume"]);
    assert_eq!(result(&run), before);
    let curve = fs::read_to_string(run.join("curve.svg")).unwrap();
    assert!(curve.starts_with("<svg"), "{curve}");
}

#[test]
fn a_curve_is_drawn_of_any_losses() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    trained(&data, &run, &[]);
    let log = run.join("metrics.jsonl");
    let whole = fs::read_to_string(&log).unwrap();
    let losses = ["1e308", "1e-308", "0", "-1e308"];
    let lines = whole.lines().zip(losses).map(|(line, loss)| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        for field in ["loss", "held_out_loss"] {
            line[field] = loss.parse::<f64>().unwrap().into();
        }
        line.to_string() + "\n"
    });
    fs::write(&log, lines.collect::<String>()).unwrap();
    trained(&data, &run, &["--resume"]);
}

#[test]
fn images_that_moved_are_found_once_a_run_was_resumed_on_them() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    trained(&data, &run, &[]);
    let moved = scratch.path().join("moved");
    fs::rename(&data, &moved).unwrap();
    let dataset = || RunFolder::open(&run).unwrap().dataset(None);
    let error = format!("{:#}", dataset().unwrap_err());
    for words in [data.to_str().unwrap(), "--resume", "--data"] {
        assert!(error.contains(words), "{error}");
    }
    trained(&moved, &run, &["--resume"]);
    dataset().unwrap();
}

/// Defects that are found after the training, and what must not change.
#[test]
fn a_test_folder_may_grow_after_the_training_and_the_rest_may_not() {
    let (scratch, data) = scratch();
    let run = scratch.path().join("run");
    trained(&data, &run, &[]);
    let good = fs::read_dir(data.join("train/good")).unwrap().next();
    let good = good.unwrap().unwrap().path();
    fs::create_dir_all(data.join("test/good")).unwrap();
    fs::copy(&good, data.join("test/good/found_later.png")).unwrap();
    let dataset = || RunFolder::open(&run).unwrap().dataset(None);
    dataset().unwrap();
    trained(&data, &run, &["--resume"]);
    // A model exported now is measured on the test part of now.
    let model = scratch.path().join("model");
    let residua = |arguments: &[&OsStr]| {
        let program = Command::new(env!("CARGO_BIN_EXE_residua"))
            .args(arguments)
            .output();
        let output = program.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).unwrap()
    };
    residua(&[
        "export".as_ref(),
        run.as_ref(),
        "--out".as_ref(),
        model.as_ref(),
    ]);
    let figures = residua(&[
        "eval".as_ref(),
        model.as_ref(),
        "--data".as_ref(),
        data.as_ref(),
        "--float".as_ref(),
        run.as_ref(),
        "--json".as_ref(),
    ]);
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["part"], "test", "{figures}");

    fs::copy(&good, data.join("train/good/learned_later.png")).unwrap();
    let error = format!("{:#}", dataset().unwrap_err());
    assert!(error.contains("not those"), "{error}");
    refused(&data, &run, &["--resume"], &["not the images"]);
}
