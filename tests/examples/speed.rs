//! How fast the engines are on an exported model, one thread: the median of runs on noise.
//!
//!     cargo run --release -p residua-tests --example speed -- MODEL [SECONDS [ENGINE]]

use std::{
    env,
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

use residua_edge::engine::{
    Engine,
    native::{Native, Plan, kernel},
    tract::Tract,
};
use residua_host::model::Model;
use residua_shared::frame::{Frame, Size};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let model = arguments.next().ok_or("which MODEL?")?;
    let seconds = arguments.next().map_or(Ok(2.0), |text| text.parse())?;
    let time = Duration::from_secs_f64(seconds);
    let only = arguments.next();
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let model = Model::open(Path::new(&model))?;
    let (net, input) = (model.net()?, model.manifest().input);
    let giga = net.macs() as f64 / 1e9;
    println!("{}, {input}, {giga:.3} GMAC", model.manifest().name);

    let plan = Plan::new(&net)?;
    for kernel in kernel::all() {
        if !wanted(kernel.name()) {
            continue;
        }
        let (weights, arena) = (vec![0; plan.weights_len(kernel)], vec![0; plan.arena_len()]);
        let engine = Native::new(&net, input, kernel, weights, arena)?;
        report(kernel.name(), giga, engine, time)?;
    }
    if wanted("tract") {
        let engine = Tract::new(model.onnx(), input, net.fraction_bits())?;
        report("tract", giga, engine, time)?;
    }
    Ok(())
}

fn report(
    name: &str,
    giga: f64,
    mut engine: impl Engine,
    time: Duration,
) -> Result<(), Box<dyn Error>> {
    let size = engine.input();
    let pixels = noise(size);
    let frame = Frame::new(size, &pixels)?;
    let mut reconstruction = vec![0; size.area()];
    let (mut times, start) = (Vec::new(), Instant::now());
    while start.elapsed() < time || times.len() < 5 {
        let one = Instant::now();
        engine.reconstruct(frame, &mut reconstruction)?;
        times.push(one.elapsed());
    }
    times.sort();
    let (best, median) = (times[0].as_secs_f64(), times[times.len() / 2].as_secs_f64());
    println!(
        "{name:12} median {:9.3} ms {:6.1} GMAC/s, best {:9.3} ms {:6.1} GMAC/s",
        median * 1e3,
        giga / median,
        best * 1e3,
        giga / best
    );
    Ok(())
}

fn noise(size: Size) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size.area()).map(|_| next()).collect()
}
