//! Once it runs, the thread that inspects allocates nothing for an image: counted by the allocator
//! itself, from the source to gate and journal. What the journal needs for a new file every few
//! megabytes is the one exception.

#[path = "../../tests/counting/mod.rs"]
mod counting;

use std::{
    fs,
    sync::{Arc, atomic::AtomicBool},
    time::SystemTime,
};

use anyhow::Result;
use counting::allocations;
use residua_device::{
    clock::Clock,
    config,
    gate::{Gate, Pin},
    inspect::{Camera, Ended, Frames},
    journal::Journal,
    model::Model,
    recorder::Recorder,
    source::{Event, Source},
    station::Station,
};
use residua_edge::gate::{FailSafe, GateConfig};
use residua_shared::wire::Capabilities;

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/golden/edge-tiny"
);

/// Images after which everything has had its turn once.
const WARM: usize = 4;
const COUNTED: usize = 40;

/// Gives images in turn, and counts from the first one after the warm ones.
struct Images {
    images: [Vec<u8>; 2],
    given: usize,
    before: usize,
    after: usize,
}

impl Source for Images {
    fn next(&mut self, pixels: &mut [u8]) -> Result<Event> {
        if self.given == WARM {
            self.before = allocations();
        }
        if self.given == WARM + COUNTED {
            self.after = allocations();
            return Ok(Event::End);
        }
        pixels.copy_from_slice(&self.images[self.given % 2]);
        self.given += 1;
        Ok(Event::Image)
    }
}

#[test]
fn an_image_costs_no_allocation_from_the_source_to_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::read(fs::read(format!("{GOLDEN}/model.onnx")).unwrap()).unwrap();
    let journal = Journal::open(folder.path(), 64 << 20).unwrap();
    let station = Station::new(
        "line".try_into().unwrap(),
        Capabilities::GATE,
        Clock::start(SystemTime::now),
        journal,
        Arc::new(AtomicBool::new(false)),
    );
    let station = Arc::new(station.unwrap());
    station.set_model(&model, 0);
    let times = GateConfig::new(60_000_000, 1_000_000).unwrap();
    let gate = Gate::new(times, Pin::new(|_| Ok(())), FailSafe::Reject);
    let gate = Some(Arc::new(gate));
    let engine = model.engine(config::Engine::Native).unwrap();
    let mut frames = Frames::new(Arc::clone(&station), engine, model.manifest.rule).unwrap();
    let mut camera = Camera::new(&config::Image::default(), gate.clone());
    let mut recorder = Recorder::new(Arc::clone(&station), gate.clone());
    let image = |name| {
        let file = format!("{GOLDEN}/images/{name}.png");
        image::open(file).unwrap().to_luma8().into_raw()
    };
    let mut source = Images {
        images: ["good", "noise"].map(image),
        given: 0,
        before: 0,
        after: 0,
    };
    let ended = frames.run(&mut source, &mut camera, &mut recorder);
    assert_eq!(ended.unwrap(), Ended::SourceEnd);
    assert_eq!(source.after - source.before, 0);
    // The path was really walked to both of its ends, masks included.
    let (stats, half) = (station.stats(), (WARM + COUNTED) as u64 / 2);
    assert_eq!((stats.good, stats.defects, stats.faults), (half, half, 0));
    assert_eq!(station.journal().waiting(), 2 * half);
    assert!(source.before > 0, "the counter does not count");
}
