//! The one configuration file. `residua-edge.toml` beside this crate's manifest documents each key.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use residua_shared::frame::{MAX_SIDE, Size};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{events::Level, gate};

/// Everything that can be configured.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this is.
    #[serde(default)]
    pub device: Device,
    /// What it inspects with.
    pub model: Model,
    /// Where images come from.
    pub source: Source,
    /// Which images cannot be inspected.
    #[serde(default)]
    pub image: Image,
    /// How new models come over the link; without it they cannot.
    pub update: Option<Update>,
    /// How hosts reach it; without it none can.
    pub link: Option<Link>,
    /// What rejects bad parts; without it nothing does.
    pub gate: Option<Gate>,
    /// Where verdicts wait for the host.
    pub journal: Journal,
    /// Where metrics can be read.
    pub metrics: Option<Metrics>,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
}

/// Who this is.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Device {
    /// The name that hosts see.
    pub name: heapless::String<32>,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            name: "residua-edge".try_into().expect("short enough"),
        }
    }
}

/// What it inspects with.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The exported ONNX file.
    pub file: PathBuf,
    /// What runs it.
    #[serde(default)]
    pub engine: Engine,
}

/// What runs the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// residua's own engine.
    #[default]
    Native,
    /// tract, where the program was built with it.
    Tract,
}

/// Where images come from.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Image files that appear in a folder.
    Folder(Folder),
    /// A camera of Video4Linux.
    Camera(Camera),
    /// Raw pixels on standard input.
    Stdin(Stdin),
    /// Raw rows of a line-scan camera over TCP.
    LineScan(LineScan),
}

/// Image files that appear in a folder.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// Where files go after their inspection; without it they are deleted.
    pub done: Option<PathBuf>,
    /// Waits for more files; else the program ends with the last one.
    #[serde(default = "yes")]
    pub watch: bool,
}

/// A camera of Video4Linux.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Camera {
    /// Its device file.
    pub path: PathBuf,
    /// The size that it is set to; the model's where none is given.
    #[serde(default, deserialize_with = "some_size")]
    pub size: Option<Size>,
    /// The column at which the model's image begins; in the middle where none is given.
    pub left: Option<u16>,
    /// The row likewise.
    pub top: Option<u16>,
    /// The pixel format; the first of [`PixelFormat`] that there is where none is given.
    pub format: Option<PixelFormat>,
    /// Images a second; the camera's own where none is given.
    pub frame_rate: Option<f64>,
    /// Images that the driver has room for.
    #[serde(default = "four")]
    pub buffers: u32,
}

/// Pixel formats that hold grey levels of 8 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixelFormat {
    /// Grey levels alone, also known as Y8.
    Grey,
    /// Luma and chroma in turn; the luma is taken.
    Yuyv,
}

/// Raw pixels on standard input.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stdin {
    /// The size of an image.
    #[serde(deserialize_with = "size")]
    pub size: Size,
}

/// Raw rows of a line-scan camera over TCP.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LineScan {
    /// Where the camera connects to.
    pub listen: SocketAddr,
    /// Rows that get one verdict.
    pub window_rows: std::num::NonZeroU32,
}

/// Which images cannot be inspected.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Image {
    /// A pixel at or below it is black.
    pub black_level: u8,
    /// A pixel at or above it is saturated.
    pub white_level: u8,
    /// An image with more than this share of black, or of saturated, pixels has no verdict.
    pub unusable_share: f64,
    /// Without an image for so many seconds the camera is reported as lost; 0 for never.
    pub timeout_seconds: f64,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            black_level: 2,
            white_level: 253,
            unusable_share: 0.98,
            timeout_seconds: 0.0,
        }
    }
}

impl Image {
    /// How long to wait for an image.
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout_seconds > 0.0).then(|| Duration::from_secs_f64(self.timeout_seconds))
    }
}

/// How new models come over the link.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The folder of the two slots, of this program alone.
    pub folder: PathBuf,
    /// The file with the public key of who may send models.
    pub key: PathBuf,
    /// The longest model.
    #[serde(default = "sixteen")]
    pub megabytes: u32,
}

impl Update {
    /// Bytes of the longest model.
    pub fn slot_bytes(&self) -> u32 {
        self.megabytes.saturating_mul(1 << 20)
    }
}

/// How hosts reach it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Several hosts at once over TCP.
    Tcp(Tcp),
    /// One host over a serial line.
    Serial(Serial),
}

/// Hosts over TCP.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Where hosts connect to. There is no password: keep it to the machine's own network.
    pub listen: SocketAddr,
}

/// A host over a serial line.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// The line's device file.
    pub path: PathBuf,
    /// Bits per second.
    pub baud: u32,
}

/// What rejects bad parts. Times are in milliseconds.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Gate {
    /// The GPIO chip's device file.
    pub chip: PathBuf,
    /// The actuator's line on it, active where it rejects.
    pub line: u32,
    /// The actuator rejects while the line is low.
    #[serde(default)]
    pub active_low: bool,
    /// A line that is active while the conveyor may run; it is stopped on faults.
    pub run_line: Option<u32>,
    /// From the complete image to the beginning of the reject.
    pub distance_ms: u32,
    /// The length of a reject.
    pub pulse_ms: u32,
    /// To so much a reject may be cut for a good part that follows closely.
    pub min_pulse_ms: Option<u32>,
    /// Between rejects less than this apart the actuator stays on.
    #[serde(default)]
    pub min_pause_ms: u32,
    /// How late a reject may begin.
    pub slack_ms: Option<u32>,
    /// Parts in a row that may come without a verdict before everything is rejected.
    #[serde(default)]
    pub tolerated_late: u32,
}

/// Where verdicts wait for the host.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// The folder, of this program alone.
    pub folder: PathBuf,
    /// Room that it may take.
    #[serde(default = "sixty_four")]
    pub megabytes: u32,
}

/// Where metrics can be read.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where Prometheus connects to.
    pub listen: SocketAddr,
}

/// What is logged.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least important level that is logged.
    pub level: Level,
}

fn yes() -> bool {
    true
}

fn four() -> u32 {
    4
}

fn sixteen() -> u32 {
    16
}

fn sixty_four() -> u32 {
    64
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
    parse_size(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn some_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    size(deserializer).map(Some)
}

/// A size written as WIDTHxHEIGHT.
pub fn parse_size(text: &str) -> Result<Size, String> {
    let sides = text
        .split_once('x')
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let (width, height) =
        sides.ok_or_else(|| format!("{text:?} is no size; write WIDTHxHEIGHT, as 512x300"))?;
    Size::new(width, height).map_err(|error| error.to_string())
}

impl Config {
    /// Reads and checks the file; relative paths in it are taken from the folder that it lies in.
    /// Errors are one line with the file, the key and the remedy.
    pub fn open(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| {
            format!(
                "{}: cannot be read; give the configuration file",
                file.display()
            )
        })?;
        let mut config = Self::parse(&text).with_context(|| file.display().to_string())?;
        config.resolve(file.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads and checks the text of a file.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| located(text, &error))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let Image {
            black_level,
            white_level,
            unusable_share,
            timeout_seconds,
        } = self.image;
        ensure!(
            black_level < white_level,
            "image.black-level: {black_level} is not below image.white-level, {white_level}"
        );
        ensure!(
            (0.5..=1.0).contains(&unusable_share),
            "image.unusable-share: {unusable_share} must be 0.5 to 1"
        );
        ensure!(
            (0.0..=86_400.0).contains(&timeout_seconds),
            "image.timeout-seconds: {timeout_seconds} must be 0 (never) to 86400"
        );
        ensure!(
            self.journal.megabytes > 0,
            "journal.megabytes: must be at least 1"
        );
        if let Some(Update { megabytes, .. }) = self.update {
            ensure!(
                (1..=1024).contains(&megabytes),
                "update.megabytes: {megabytes} must be 1 to 1024"
            );
        }
        if let Some(gate) = &self.gate {
            gate::times(gate).context("gate")?;
        }
        if let Some(Link::Serial(Serial { baud, .. })) = self.link {
            ensure!(
                (1_200..=4_000_000).contains(&baud),
                "link.serial.baud: {baud} must be 1200 to 4000000"
            );
        }
        if let Source::Camera(Camera {
            path,
            frame_rate,
            buffers,
            ..
        }) = &self.source
        {
            ensure!(
                !path.as_os_str().as_encoded_bytes().contains(&0),
                "source.camera.path: a path holds no NUL; name the device file"
            );
            ensure!(
                frame_rate.is_none_or(|rate| (0.01..=100_000.0).contains(&rate)),
                "source.camera.frame-rate: must be 0.01 to 100000"
            );
            ensure!(
                (2..=32).contains(buffers),
                "source.camera.buffers: {buffers} must be 2 to 32"
            );
        }
        if let Source::LineScan(LineScan { window_rows, .. }) = self.source {
            ensure!(
                window_rows.get() <= MAX_SIDE.into(),
                "source.line-scan.window-rows: {window_rows} must be at most {MAX_SIDE}"
            );
            ensure!(
                self.model.engine == Engine::Native,
                "model.engine: rows of a line-scan camera need the native engine"
            );
        }
        if self.model.engine == Engine::Tract && !cfg!(feature = "tract") {
            bail!("model.engine: this program was built without tract; set it to \"native\"");
        }
        Ok(())
    }

    fn resolve(&mut self, folder: &Path) {
        let mut paths = vec![&mut self.model.file, &mut self.journal.folder];
        match &mut self.source {
            Source::Folder(source) => {
                paths.push(&mut source.path);
                paths.extend(&mut source.done);
            }
            Source::Camera(camera) => paths.push(&mut camera.path),
            Source::Stdin(_) | Source::LineScan(_) => {}
        }
        if let Some(update) = &mut self.update {
            paths.extend([&mut update.folder, &mut update.key]);
        }
        if let Some(Link::Serial(serial)) = &mut self.link {
            paths.push(&mut serial.path);
        }
        paths.extend(self.gate.as_mut().map(|gate| &mut gate.chip));
        for path in paths {
            *path = folder.join(&*path);
        }
    }
}

/// The error on one line, with the line of the file that it is about.
fn located(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message().replace('\n', " ");
    let Some(span) = error.span() else {
        return anyhow::anyhow!("{message}");
    };
    let before = &text[..span.start.min(text.len())];
    let line = before.matches('\n').count();
    let content = text.lines().nth(line).unwrap_or_default().trim();
    anyhow::anyhow!("line {}: `{content}`: {message}", line + 1)
}
