//! Weights packed beforehand run as those packed at load do, and no others are taken.

mod small_net;

use residua_edge::engine::{
    Engine, EngineError,
    native::{Native, Plan, kernel},
};
use residua_shared::frame::{Frame, Size};
use small_net::net;

fn reconstruction(engine: Result<impl Engine, EngineError>) -> Result<Vec<i32>, EngineError> {
    let mut engine = engine?;
    let size = engine.input();
    let pixels: Vec<u8> = (0..size.area()).map(|n| (n * n / 7) as u8).collect();
    let mut output = vec![0; size.area()];
    engine.reconstruct(Frame::new(size, &pixels).unwrap(), &mut output)?;
    Ok(output)
}

#[test]
fn packed_weights_run_and_others_are_refused() {
    let size = Size::new(24, 10).unwrap();
    let net = net(size);
    let plan = Plan::new(&net).unwrap();
    for kernel in kernel::all() {
        let arena = || vec![0xa5; plan.arena_len()];
        let at_load = vec![0; plan.weights_len(kernel)];
        let expected = reconstruction(Native::new(&net, size, kernel, at_load, arena())).unwrap();
        let mut weights = vec![0; plan.packed_len(kernel.formats())];
        plan.pack(&net, kernel.formats(), &mut weights).unwrap();
        let run =
            |weights: &[u8]| reconstruction(Native::packed(&net, size, kernel, weights, arena()));
        assert_eq!(run(&weights).unwrap(), expected, "{}", kernel.name());
        let short = run(&weights[1..]).unwrap_err();
        assert!(matches!(short, EngineError::Buffer(_)), "{short}");
        let mut unused = 0;
        // Interpreted, an engine for every byte takes too long.
        let step = if cfg!(miri) { 41 } else { 1 };
        for at in (0..weights.len()).step_by(step) {
            weights[at] ^= 1;
            match run(&weights) {
                Err(error) => {
                    assert_eq!(error, EngineError::Weights);
                    unused = 0;
                }
                Ok(found) => {
                    assert_eq!(found, expected, "{}, byte {at}", kernel.name());
                    unused += 1;
                }
            }
            // Only what lies between a part of a layer and the next, which begins aligned.
            assert!(
                unused < 64,
                "{}: the {unused} bytes up to {at}",
                kernel.name()
            );
            weights[at] ^= 1;
        }
    }
}
