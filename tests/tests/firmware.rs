//! The firmware on both Cortex-M boards under QEMU: rows go in over the serial port, and what comes
//! out equals the reference's reports byte by byte.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use residua_edge::regions::{max_regions, max_runs};
use residua_host::data::read_grey;
use residua_runner::case::Engine;
use residua_shared::{
    frame::Size,
    manifest::Manifest,
    wire::{
        Capabilities, Hello, MAX_FRAME, MAX_REGIONS, Message, Model, ProgramVersion, Report, Time,
        VERSION, encode,
    },
};
use residua_tests::{
    golden, judge,
    targets::{Answer, Case},
};

/// Board and the variable with the program's path.
const BOARDS: [(&str, &str); 2] = [
    ("mps2-an500", "RESIDUA_FIRMWARE_CORTEX_M7"),
    ("mps3-an547", "RESIDUA_FIRMWARE_CORTEX_M55"),
];

/// What the firmware reads: a strip's end, a row, the end of all.
const END: u8 = 0;
const ROW: u8 = 1;
const STOP: u8 = 2;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/firmware")
}

/// Images of the model's size: every golden image of `edge`, tiled.
fn images(size: Size) -> Vec<Vec<u8>> {
    let folder = golden::folder().join("edge/images");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let tiled = |file: &PathBuf| {
        let image = read_grey(file).unwrap();
        let (width, height) = (image.size.width(), image.size.height());
        let pixel = |n: usize| {
            let (x, y) = (n % size.width(), n / size.width());
            image.pixels[y % height * width + x % width]
        };
        (0..size.area()).map(pixel).collect()
    };
    files.iter().map(tiled).collect()
}

/// A greeting, and the judge's report on each image.
fn expected(machine: &str, manifest: &Manifest, onnx: &[u8], images: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let hello = Message::Hello(Hello {
        protocol: VERSION,
        program: ProgramVersion {
            major: 0,
            minor: 1,
            patch: 0,
        },
        device: machine.parse().unwrap(),
        capabilities: Capabilities::default(),
        next_part: 0,
        model: Some(Model {
            digest: manifest.digest,
            version: 0,
            input: manifest.input,
            threshold: manifest.rule.image_threshold(),
            name: manifest.name.clone(),
        }),
    });
    let case = Case {
        engine: Engine::Reference(onnx.to_vec()),
        input: manifest.input,
        rule: manifest.rule,
        runs: max_runs(manifest.input) as u32,
        regions: max_regions(manifest.input) as u32,
        images: images.concat(),
        first: 0,
        repetitions: 1,
    };
    let hello = encode(&hello, &mut [0; MAX_FRAME]).unwrap().to_vec();
    let answers = (0..).zip(judge::answers(&case).unwrap());
    let rule = manifest.rule;
    let report = |(part, answer): (u64, Answer)| {
        let mut regions = answer.suspects;
        regions.retain(|region| rule.counts(region.area, region.peak));
        // Strips list regions as they end.
        regions.sort_by_key(|region| region.bottom);
        let report = Message::Report(Report {
            part,
            time: Time::default(),
            verdict: answer.verdict,
            threshold: rule.image_threshold(),
            regions: regions.into_iter().take(MAX_REGIONS).collect(),
        });
        encode(&report, &mut [0; MAX_FRAME]).unwrap().to_vec()
    };
    [hello].into_iter().chain(answers.map(report)).collect()
}

/// The firmware's whole run on what comes over the line.
fn board((machine, variable): (&str, &str), line: &[u8]) -> Output {
    let program = env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run the tests by `cargo xtask test`"));
    let mut child = Command::new("timeout")
        .args(["300", "qemu-system-arm", "-M", machine])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let line = line.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&line));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

#[test]
fn boards_report_what_the_reference_does() {
    let onnx = fs::read(folder().join("model.onnx")).unwrap();
    let manifest = fs::read(folder().join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
    let images = images(manifest.input);
    let mut line = Vec::new();
    for image in &images {
        for row in image.chunks_exact(manifest.input.width()) {
            line.push(ROW);
            line.extend(row);
        }
        line.push(END);
    }
    line.push(STOP);
    for (machine, variable) in BOARDS {
        let expected = expected(machine, &manifest, &onnx, &images);
        let output = board((machine, variable), &line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "{machine}: {} {said}",
            output.status
        );
        let frames: Vec<&[u8]> = output.stdout.split_inclusive(|&byte| byte == 0).collect();
        assert_eq!(frames.len(), expected.len(), "{machine}");
        for (number, (found, expected)) in frames.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "{machine}, frame {number}");
        }
        let (used, of) = stack(&said);
        assert!(0 < used && used < of, "{machine}: {said}");
        println!("{machine}: {}", said.trim());
    }
}

/// The stack's bytes used, and all of them, in `stack: USED of ALL bytes`.
fn stack(said: &str) -> (usize, usize) {
    let mut numbers = said.split_whitespace().filter_map(|word| word.parse().ok());
    numbers
        .next()
        .zip(numbers.next())
        .unwrap_or_else(|| panic!("{said}"))
}
