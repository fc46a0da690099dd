//! The whole program: what it is made of, started and ended in order.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};
use residua_edge::inspector::Buffers;
use residua_shared::{
    frame::Size,
    wire::{Capabilities, FaultKind},
};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{
    clock::Clock,
    config::{self, Config},
    events::{self, Level, log},
    gate::Gate,
    inspect::{Camera, Ended, Frames, Strips},
    journal::{Dropped, Journal},
    link::{Link, Port},
    metrics,
    model::Model,
    models::{self, Models},
    recorder::Recorder,
    source::{
        Source,
        camera::{self, Window},
        folder::Folder,
        line_scan::LineScan,
        pipe::Pipe,
    },
    station::Station,
};

/// Checks everything that can be checked without a camera: the model, that it fits the source, and
/// that the engine can run it. Errors name the key and the remedy.
pub fn check(config: &Config) -> Result<Model> {
    let model = Model::open(&config.model.file)?;
    let input = model.manifest.input;
    if let config::Source::Stdin(config::Stdin { size }) = config.source {
        ensure!(
            size == input,
            "source.stdin.size: the images are {size} but the model takes {input}; crop them or \
             export a model for this size"
        );
    }
    if let config::Source::Camera(camera) = &config.source {
        Window::new(camera, input)?;
    }
    model
        .engine(config.model.engine)
        .with_context(|| config.model.file.display().to_string())?;
    if let Some(update) = &config.update {
        models::trusted_key(&update.key)?;
    }
    Ok(model)
}

/// Inspects until the source or the program ends.
pub fn run(config: &Config) -> Result<()> {
    events::set_level(config.log.level);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signals")?;
    }
    let configured = check(config)?;
    let megabytes = u64::from(config.journal.megabytes);
    let journal = Journal::open(&config.journal.folder, megabytes << 20)?;
    let clock = Clock::start(SystemTime::now);
    let name = config.device.name.clone();
    let station = Station::new(name, capabilities(config), clock, journal, stop)?;
    let station = Arc::new(station);
    let damaged = station.journal().damaged();
    if damaged != Dropped::default() {
        station.fault(
            FaultKind::Storage,
            format_args!(
                "journal: the disk has damaged {} verdicts and at least {} masks, which are lost; \
                 check the disk",
                damaged.verdicts, damaged.masks
            ),
        );
    }
    let mut models = open_models(config, configured.manifest.input)?;
    let model = newest(models.as_mut(), configured, &station);
    use_model(&model, &station);
    let gate = config
        .gate
        .as_ref()
        .map(Gate::open)
        .transpose()?
        .map(Arc::new);
    let mut camera = Camera::new(&config.image, gate.clone());
    let mut recorder = Recorder::new(Arc::clone(&station), gate.clone());
    let mut source = AnySource::open(&config.source, model.manifest.input)?;

    let port = config.link.as_ref().map(Port::open).transpose()?;
    let link = Link::new(Arc::clone(&station), port, models);
    let link = thread::spawn(move || link.run());
    let metrics = config.metrics.as_ref().map(metrics::listen).transpose()?;
    let metrics = metrics.map(|listener| {
        let station = Arc::clone(&station);
        thread::spawn(move || metrics::serve(&listener, &station))
    });

    let gate = gate.map(|gate| {
        let station = Arc::clone(&station);
        thread::spawn(move || gate.drive(&station))
    });

    let ended = inspect(
        config,
        model,
        &station,
        &mut source,
        &mut camera,
        &mut recorder,
    );
    station.stop();
    station.wake();
    let joined = [Some(link), metrics, gate]
        .into_iter()
        .flatten()
        .map(|t| t.join());
    let crashed = joined.filter(Result::is_err).count();
    ended?;
    ensure!(
        crashed == 0,
        "a thread of this program failed; its message is above"
    );
    log(Level::Info, "ended", &[]);
    Ok(())
}

fn open_models(config: &Config, input: Size) -> Result<Option<Models>> {
    let open = |update| Models::open(update, config.model.engine, input);
    config.update.as_ref().map(open).transpose()
}

/// The newest model that came over the link; the `configured` one where none can be used.
fn newest(models: Option<&mut Models>, configured: Model, station: &Station) -> Model {
    match models.map_or(Ok(None), Models::newest) {
        Ok(newest) => newest.unwrap_or(configured),
        Err(error) => {
            let detail = format_args!("model.file is used: {error:#}");
            station.fault(FaultKind::Update, detail);
            configured
        }
    }
}

fn capabilities(config: &Config) -> Capabilities {
    let mut all = Capabilities::THRESHOLD
        .with(Capabilities::JOURNAL)
        .with(Capabilities::CLOCK)
        .with(Capabilities::REBOOT);
    if config.update.is_some() {
        all = all.with(Capabilities::UPDATE);
    }
    if config.gate.is_some() {
        all = all.with(Capabilities::GATE);
    }
    match config.source {
        config::Source::LineScan(_) => all,
        _ => all.with(Capabilities::MASKS).with(Capabilities::CAPTURE),
    }
}

/// Whole images or rows.
enum AnySource {
    Images(Box<dyn Source>),
    Rows(LineScan, config::LineScan),
}

impl AnySource {
    fn open(config: &config::Source, size: Size) -> Result<Self> {
        Ok(match config {
            config::Source::Folder(config) => Self::Images(Box::new(Folder::new(config, size)?)),
            config::Source::Camera(config) => {
                Self::Images(Box::new(camera::Camera::new(config, size)?))
            }
            config::Source::Stdin(_) => {
                // Not the standard library's, whose buffer hides from the system what is there.
                let input = io::stdin().as_fd().try_clone_to_owned();
                let input = File::from(input.context("standard input: cannot be used")?);
                Self::Images(Box::new(Pipe::new(input, size.area())))
            }
            config::Source::LineScan(config) => {
                Self::Rows(LineScan::new(config, size.width())?, config.clone())
            }
        })
    }
}

fn inspect(
    config: &Config,
    mut model: Model,
    station: &Arc<Station>,
    source: &mut AnySource,
    camera: &mut Camera,
    recorder: &mut Recorder,
) -> Result<()> {
    loop {
        let ended = match source {
            AnySource::Images(source) => {
                let engine = model.engine(config.model.engine)?;
                let mut frames = Frames::new(Arc::clone(station), engine, model.manifest.rule)?;
                frames.run(source.as_mut(), camera, recorder)?
            }
            AnySource::Rows(source, config) => {
                let strips = Strips { station, config };
                loop {
                    let ended = strips.run(model.native()?, source, camera, recorder)?;
                    if ended != Ended::RuleChanged {
                        break ended;
                    }
                }
            }
        };
        if ended != Ended::ModelChanged {
            return Ok(());
        }
        if let Some(new) = station.take_model() {
            use_model(&new, station);
            model = new;
        }
    }
}

fn use_model(model: &Model, station: &Station) {
    let manifest = &model.manifest;
    station.set_model(model, buffer_bytes(model).unwrap_or(0));
    log(
        Level::Info,
        "model_in_use",
        &[
            ("name", &manifest.name),
            ("version", &model.version),
            ("digest", &manifest.digest),
            ("input", &manifest.input),
        ],
    );
}

/// Bytes of the inspection's buffers, the engine's included.
fn buffer_bytes(model: &Model) -> Option<u64> {
    let lengths = Buffers::len_for(model.manifest.input, model.manifest.rule);
    let words = lengths.reconstruction + lengths.residual + lengths.filter + lengths.map;
    let tables = lengths.runs * size_of::<residua_edge::regions::RunEntry>()
        + lengths.regions * size_of::<residua_edge::regions::RegionEntry>();
    Some((4 * words + tables) as u64 + model.engine_bytes().ok()?)
}
