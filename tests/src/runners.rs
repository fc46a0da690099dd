//! One small runner per runtime. Each must reconstruct what the judge does: tolerance zero.

use std::{
    env, fs,
    io::Write,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use residua_edge::engine::{
    Engine, EngineError,
    native::{Native, Plan, kernel::Kernel},
    reference::Reference,
    tract::Tract,
};
use residua_shared::{
    frame::{Frame, Size},
    onnx,
};

/// A runtime: an ONNX file's reconstruction of some images of one size.
pub trait Runner {
    /// The runtime's name.
    fn name(&self) -> &'static str;

    /// The reconstruction of each image, or the runtime's complaint.
    fn run(
        &self,
        onnx: &[u8],
        input: Size,
        fraction_bits: u8,
        images: &[Vec<u8>],
    ) -> Result<Vec<Vec<i32>>, String>;
}

/// The judge: the scalar reference.
pub struct Judge;

impl Runner for Judge {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn run(
        &self,
        onnx: &[u8],
        input: Size,
        fraction_bits: u8,
        images: &[Vec<u8>],
    ) -> Result<Vec<Vec<i32>>, String> {
        let net = onnx::read(onnx, fraction_bits).map_err(|error| error.to_string())?;
        let mut scratch = vec![0; net.scratch_len()];
        all(Reference::new(net, input, &mut scratch), images)
    }
}

/// The native engine with one of its kernels.
pub struct NativeRunner(pub &'static dyn Kernel);

impl Runner for NativeRunner {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn run(
        &self,
        onnx: &[u8],
        input: Size,
        fraction_bits: u8,
        images: &[Vec<u8>],
    ) -> Result<Vec<Vec<i32>>, String> {
        let net = onnx::read(onnx, fraction_bits).map_err(|error| error.to_string())?;
        let plan = Plan::new(&net).map_err(|error| error.to_string())?;
        // Rubbish, which must not matter.
        let weights = vec![0x5a; plan.weights_len(self.0)];
        let arena = vec![0xa5; plan.arena_len()];
        all(Native::new(&net, input, self.0, weights, arena), images)
    }
}

/// tract, with the file as it is.
pub struct TractRunner;

impl Runner for TractRunner {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn run(
        &self,
        onnx: &[u8],
        input: Size,
        fraction_bits: u8,
        images: &[Vec<u8>],
    ) -> Result<Vec<Vec<i32>>, String> {
        all(Tract::new(onnx, input, fraction_bits), images)
    }
}

/// onnxruntime with and without its optimizations, in the Python that `RESIDUA_PYTHON` names.
pub struct OnnxRuntime;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/reconstruct.py");

impl Runner for OnnxRuntime {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn run(
        &self,
        onnx: &[u8],
        input: Size,
        _fraction_bits: u8,
        images: &[Vec<u8>],
    ) -> Result<Vec<Vec<i32>>, String> {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let python = env::var_os("RESIDUA_PYTHON").ok_or(
            "RESIDUA_PYTHON is not set: run the tests by `cargo xtask test`, or name a Python \
             with the packages of tests/python/requirements.txt",
        )?;
        let text = |error: std::io::Error| error.to_string();
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let file = env::temp_dir().join(format!("residua-{}-{number}.onnx", std::process::id()));
        fs::write(&file, onnx).map_err(text)?;
        let mut child = Command::new(python)
            .arg(SCRIPT)
            .arg(&file)
            .args([input.width().to_string(), input.height().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let mut stdin = child.stdin.take().ok_or("no standard input")?;
        let pixels = images.concat();
        // From a thread, because the results fill their pipe while images are still coming. Where
        // Python ends early, what it said matters more than the broken pipe.
        let writer = std::thread::spawn(move || stdin.write_all(&pixels));
        let output = child.wait_with_output().map_err(text);
        let _ = writer.join();
        fs::remove_file(&file).map_err(text)?;
        let output = output?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let values: Vec<i32> = output
            .stdout
            .chunks_exact(4)
            .map(|bytes| i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        Ok(values.chunks(input.area()).map(<[i32]>::to_vec).collect())
    }
}

fn all(
    engine: Result<impl Engine, EngineError>,
    images: &[Vec<u8>],
) -> Result<Vec<Vec<i32>>, String> {
    let mut engine = engine.map_err(|error| error.to_string())?;
    let reconstruct = |pixels: &Vec<u8>| {
        let mut reconstruction = vec![0; engine.input().area()];
        let frame = Frame::new(engine.input(), pixels).map_err(|error| error.to_string())?;
        engine
            .reconstruct(frame, &mut reconstruction)
            .map_err(|error| error.to_string())?;
        Ok(reconstruction)
    };
    images.iter().map(reconstruct).collect()
}
