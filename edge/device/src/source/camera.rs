//! A camera of Video4Linux, whose images are cut to the model's size.
//!
//! It is opened when the first image is asked for, and again after every failure: one that is
//! unplugged comes back as soon as it is plugged in. Time stamps and numbers of images are the
//! driver's, so that an image that waited for the one before has the time at which it was taken,
//! and none is lost without notice.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use moq_v4l::{
    Device, Format, FourCC, Fraction,
    buffer::{self, Metadata},
    device::Handle,
    format::FieldOrder,
    io::{
        mmap,
        traits::{CaptureStream, Stream as _},
    },
    video::{Capture, capture::Parameters},
};
use residua_shared::frame::Size;
use rustix::time::{ClockId, clock_gettime};

use super::{Event, Source, TICK};
use crate::{
    config::{self, PixelFormat},
    events::{Level, log},
};

/// So many images may be missing between two; where more are, the camera counts as gone.
const MAX_MISSED: u32 = 64;

/// The share by which a camera's frame rate may differ from the one asked for.
const RATE_TOLERANCE: f64 = 0.01;

/// `POLLIN`
const READABLE: i16 = 1;

/// Images from a camera.
pub struct Camera {
    config: config::Camera,
    window: Window,
    stream: Option<Stream>,
    /// When the image last given was taken.
    taken: Instant,
    /// Images that went missing, to be told of before `next`.
    missed: u32,
    /// What the last image of the camera was, and when it was taken, while some before it are
    /// still to be told of.
    next: Option<(Event, Instant)>,
    /// Its pixels.
    held: Vec<u8>,
}

/// A camera that delivers.
struct Stream {
    handle: Arc<Handle>,
    buffers: mmap::Stream<'static>,
    layout: Layout,
    /// The number of the last image.
    last: Option<u32>,
}

/// Where the model's image lies in the camera's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// The camera's images.
    camera: Size,
    /// The model's.
    model: Size,
    left: usize,
    top: usize,
}

/// How a buffer of the camera holds grey levels.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Bytes from one row to the next.
    stride: usize,
    /// Bytes from one grey level to the next in a row.
    step: usize,
}

impl fmt::Debug for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Camera")
            .field("config", &self.config)
            .field("open", &self.stream.is_some())
            .finish_non_exhaustive()
    }
}

impl Window {
    /// The model's image in those of the configured camera. Errors where it does not fit.
    pub fn new(config: &config::Camera, model: Size) -> Result<Self> {
        let camera = config.size.unwrap_or(model);
        let place = |wanted: Option<u16>, key, model: usize, camera: usize| {
            let middle = camera.saturating_sub(model) / 2;
            let from = wanted.map_or(middle, usize::from);
            ensure!(
                from + model <= camera,
                "source.camera.{key}: the model's image is {model} pixels long there and does not \
                 fit into the camera's {camera} from pixel {from} on; set source.camera.size and \
                 {key}, or export a model for a smaller size"
            );
            Ok(from)
        };
        Ok(Self {
            left: place(config.left, "left", model.width(), camera.width())?,
            top: place(config.top, "top", model.height(), camera.height())?,
            camera,
            model,
        })
    }

    /// Copies the grey levels of the window; false where the buffer is too short.
    fn cut(&self, buffer: &[u8], layout: Layout, pixels: &mut [u8]) -> bool {
        let width = self.model.width();
        for (y, row) in pixels.chunks_exact_mut(width).enumerate() {
            let from = (self.top + y) * layout.stride + self.left * layout.step;
            let Some(bytes) = buffer.get(from..from + (width - 1) * layout.step + 1) else {
                return false;
            };
            for (pixel, byte) in row.iter_mut().zip(bytes.iter().step_by(layout.step)) {
                *pixel = *byte;
            }
        }
        true
    }

    /// The least bytes of a whole image of the camera.
    fn whole(&self, layout: Layout) -> usize {
        layout.stride * (self.camera.height() - 1) + self.camera.width() * layout.step
    }
}

impl PixelFormat {
    const ALL: [Self; 2] = [Self::Grey, Self::Yuyv];

    /// Its name in Video4Linux.
    fn code(self) -> FourCC {
        FourCC::new(match self {
            Self::Grey => b"GREY",
            Self::Yuyv => b"YUYV",
        })
    }

    fn step(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Yuyv => 2,
        }
    }
}

impl Camera {
    /// The configured camera, for images of `size`. Errors where the configuration does not fit
    /// the model; a camera that is not there is waited for.
    pub fn new(config: &config::Camera, size: Size) -> Result<Self> {
        Ok(Self {
            window: Window::new(config, size)?,
            config: config.clone(),
            stream: None,
            taken: Instant::now(),
            missed: 0,
            next: None,
            held: vec![0; size.area()],
        })
    }

    /// What there is, without waiting for more than [`TICK`].
    fn take(&mut self, pixels: &mut [u8]) -> Result<Event> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            closed => closed.insert(Stream::open(&self.config, self.window)?),
        };
        let failed = || {
            format!(
                "{}: the camera delivers no more",
                self.config.path.display()
            )
        };
        if !stream.readable().with_context(failed)? {
            return Ok(Event::Idle);
        }
        // This hands back the buffer that came before.
        let (buffer, image) = CaptureStream::next(&mut stream.buffers).with_context(failed)?;
        let missed = missed(stream.last.replace(image.sequence), image.sequence);
        ensure!(
            missed <= MAX_MISSED,
            "{}: {missed} images of the camera were lost",
            self.config.path.display()
        );
        let used = usize::try_from(image.bytesused).map_or(buffer.len(), |n| n.min(buffer.len()));
        let needed = self.window.whole(stream.layout);
        let event = if image.flags.contains(buffer::Flags::ERROR) {
            Event::Unusable("the camera's driver says that the image is damaged".into())
        } else if used < needed || !self.window.cut(&buffer[..used], stream.layout, pixels) {
            Event::Unusable(format!(
                "the image is cut short: {used} bytes of {needed} came from the camera"
            ))
        } else {
            Event::Image
        };
        // Never before the last one, though the clock was read in between.
        let at = taken(image).max(self.taken);
        if missed == 0 {
            self.taken = at;
            return Ok(event);
        }
        self.missed = missed;
        self.next = Some((event, at));
        self.held.copy_from_slice(pixels);
        Ok(self.waiting(pixels).unwrap_or(Event::Idle))
    }

    /// What is still to be told: images that went missing, and then the one after them.
    fn waiting(&mut self, pixels: &mut [u8]) -> Option<Event> {
        let (_, at) = self.next.as_ref()?;
        if self.missed > 0 {
            // Evenly between the one before and the one after.
            self.taken += (*at - self.taken) / (self.missed + 1);
            self.missed -= 1;
            return Some(Event::Missed);
        }
        let (event, at) = self.next.take()?;
        self.taken = at;
        pixels.copy_from_slice(&self.held);
        Some(event)
    }
}

impl Source for Camera {
    fn next(&mut self, pixels: &mut [u8]) -> Result<Event> {
        if let Some(event) = self.waiting(pixels) {
            return Ok(event);
        }
        self.take(pixels).inspect_err(|_| self.stream = None)
    }

    fn taken(&self) -> Instant {
        self.taken
    }
}

impl Stream {
    /// Opens the camera and sets it up. Errors name the key and the remedy.
    fn open(config: &config::Camera, window: Window) -> Result<Self> {
        let path = config.path.display();
        let device = Device::with_path(&config.path).with_context(|| {
            format!("{path}: source.camera.path cannot be opened; check cable, path and rights")
        })?;
        let format =
            set_format(&device, config, window.camera).with_context(|| path.to_string())?;
        if let Some(rate) = config.frame_rate {
            set_rate(&device, rate).with_context(|| path.to_string())?;
        }
        let step = format.fourcc;
        let step = PixelFormat::ALL
            .into_iter()
            .find(|known| known.code() == step);
        let layout = Layout {
            stride: format.stride as usize,
            step: step.map_or(1, PixelFormat::step),
        };
        let buffers = start(&device, config.buffers).with_context(|| {
            format!(
                "{path}: the camera does not start; end what else uses it, or set \
                 source.camera.buffers to less than {}",
                config.buffers
            )
        })?;
        log(
            Level::Info,
            "camera_connected",
            &[
                ("path", &path),
                ("size", &window.camera),
                ("format", &format.fourcc),
            ],
        );
        Ok(Self {
            handle: device.handle(),
            buffers,
            layout,
            last: None,
        })
    }

    /// Waits up to [`TICK`] for an image, or for the end of all images.
    fn readable(&self) -> io::Result<bool> {
        let tick = i32::try_from(TICK.as_millis()).unwrap_or(i32::MAX);
        match self.handle.poll(READABLE, tick) {
            Ok(ready) => Ok(ready > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Asks for the configured format; the first of [`PixelFormat::ALL`] that there is where none is.
fn set_format(device: &Device, config: &config::Camera, size: Size) -> Result<Format> {
    let offered: Vec<FourCC> = device
        .enum_formats()
        .context("this is no Video4Linux camera; check source.camera.path")?
        .into_iter()
        .map(|offer| offer.fourcc)
        .collect();
    let wanted = match &config.format {
        Some(format) => std::slice::from_ref(format),
        None => &PixelFormat::ALL[..],
    };
    let codes = || wanted.iter().map(|format| format.code());
    let Some(code) = codes().find(|code| offered.contains(code)) else {
        let list = |codes: &mut dyn Iterator<Item = FourCC>| {
            codes
                .map(|code| code.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        };
        bail!(
            "source.camera.format: the camera offers {} but not {}; take a camera or a mode with \
             8-bit grey (GREY) or YUYV",
            list(&mut offered.iter().copied()),
            list(&mut codes())
        );
    };
    let asked = Format {
        field_order: FieldOrder::Progressive,
        ..Format::new(size.width() as u32, size.height() as u32, code)
    };
    let set = device
        .set_format(&asked)
        .context("the camera's format cannot be set; end what else uses it")?;
    ensure!(
        set.fourcc == code,
        "source.camera.format: the camera delivers {} in place of {code} at this size; set \
         source.camera.size to one that it offers in {code}",
        set.fourcc
    );
    ensure!(
        (set.width, set.height) == (asked.width, asked.height),
        "source.camera.size: the camera delivers {}x{} in place of {size}; set it to that, or to \
         another size that it offers",
        set.width,
        set.height
    );
    ensure!(
        matches!(set.field_order, FieldOrder::Progressive | FieldOrder::Any),
        "source.camera: the camera delivers half images ({}); set it to progressive ones",
        set.field_order
    );
    Ok(set)
}

fn set_rate(device: &Device, rate: f64) -> Result<()> {
    let interval = Fraction::new(1000, (rate * 1000.0).round() as u32);
    let set = device
        .set_params(&Parameters::new(interval))
        .context("source.camera.frame-rate: the camera has a fixed one; leave it out")?
        .interval;
    let got = f64::from(set.denominator) / f64::from(set.numerator);
    ensure!(
        (got - rate).abs() <= rate * RATE_TOLERANCE,
        "source.camera.frame-rate: the camera takes {got:.3} images a second in place of {rate}; \
         set it to that, or to another rate that it offers"
    );
    Ok(())
}

fn start(device: &Device, count: u32) -> io::Result<mmap::Stream<'static>> {
    let mut stream = mmap::Stream::with_buffers(device, buffer::Type::VideoCapture, count)?;
    // Taking an image hands back the buffer of the one before: at first buffer 0.
    for index in 1..count {
        CaptureStream::queue(&mut stream, index as usize)?;
    }
    stream.start()?;
    Ok(stream)
}

/// Images between the numbers of two; none where the driver does not count.
fn missed(last: Option<u32>, now: u32) -> u32 {
    last.map_or(0, |last| now.wrapping_sub(last).saturating_sub(1))
}

/// When an image was taken, by the clock that nobody sets.
fn taken(image: &Metadata) -> Instant {
    let now = Instant::now();
    let kind = image.flags & buffer::Flags::TIMESTAMP_MASK;
    if kind != buffer::Flags::TIMESTAMP_MONOTONIC {
        return now;
    }
    let clock = clock_gettime(ClockId::Monotonic);
    let clock = Duration::try_from(clock).unwrap_or_default();
    let age = clock.saturating_sub(image.timestamp.into());
    now.checked_sub(age).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: usize, height: usize) -> Size {
        Size::new(width, height).unwrap()
    }

    fn config(keys: &str) -> config::Camera {
        toml::from_str(&format!("path = \"/dev/video0\"\n{keys}")).unwrap()
    }

    #[test]
    fn the_window_lies_in_the_middle_or_where_it_is_put() {
        let model = size(4, 2);
        let at = |keys: &str| {
            let window = Window::new(&config(keys), model).unwrap();
            (window.camera, window.left, window.top)
        };
        assert_eq!(at(""), (model, 0, 0));
        assert_eq!(at("size = \"9x8\""), (size(9, 8), 2, 3));
        assert_eq!(at("size = \"9x8\"\nleft = 5\ntop = 0"), (size(9, 8), 5, 0));
        for (keys, word) in [
            ("size = \"9x8\"\nleft = 6", "left"),
            ("size = \"9x8\"\ntop = 7", "top"),
            ("size = \"3x8\"", "left"),
            ("size = \"9x1\"", "top"),
        ] {
            let error = Window::new(&config(keys), model).unwrap_err().to_string();
            assert!(error.contains(&format!("source.camera.{word}")), "{error}");
        }
    }

    #[test]
    fn grey_levels_are_cut_out_of_both_formats() {
        let window = Window::new(&config("size = \"5x4\"\nleft = 2\ntop = 1"), size(3, 2)).unwrap();
        // Rows are longer than the image is wide.
        let grey = Layout { stride: 7, step: 1 };
        let buffer: Vec<u8> = (0..28).collect();
        let mut pixels = [0; 6];
        assert!(window.cut(&buffer, grey, &mut pixels));
        assert_eq!(pixels, [9, 10, 11, 16, 17, 18]);
        assert_eq!(window.whole(grey), 26);

        let yuyv = Layout {
            stride: 12,
            step: 2,
        };
        let buffer: Vec<u8> = (0..48).collect();
        assert!(window.cut(&buffer, yuyv, &mut pixels));
        assert_eq!(pixels, [16, 18, 20, 28, 30, 32]);
        assert!(!window.cut(&buffer[..30], yuyv, &mut pixels));
    }

    #[test]
    fn numbers_tell_what_is_missing() {
        assert_eq!(missed(None, 9), 0);
        assert_eq!(missed(Some(8), 9), 0);
        assert_eq!(missed(Some(8), 11), 2);
        assert_eq!(missed(Some(u32::MAX), 1), 1);
        // A driver that does not count.
        assert_eq!(missed(Some(0), 0), 0);
    }

    #[test]
    fn what_is_missing_is_told_one_by_one_and_then_the_image() {
        let mut camera = Camera::new(&config(""), size(4, 2)).unwrap();
        let before = camera.taken;
        let ms = Duration::from_millis;
        camera.missed = 2;
        camera.next = Some((Event::Image, before + ms(90)));
        camera.held = vec![7; 8];
        let mut pixels = [0; 8];
        for (event, at) in [(Event::Missed, 30), (Event::Missed, 60), (Event::Image, 90)] {
            assert_eq!(camera.next(&mut pixels).unwrap(), event);
            assert_eq!(camera.taken(), before + ms(at));
        }
        assert_eq!(pixels, [7; 8]);
        assert!(camera.waiting(&mut pixels).is_none());
    }

    #[test]
    fn a_camera_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("video0");
        let mut camera = config("");
        camera.path.clone_from(&file);
        let mut camera = Camera::new(&camera, size(4, 2)).unwrap();
        let mut error = || {
            let error = camera.next(&mut [0; 8]).unwrap_err();
            format!("{error:#}")
        };
        let missing = error();
        assert!(missing.contains("source.camera.path"), "{missing}");
        std::fs::write(&file, "no camera").unwrap();
        let other = error();
        assert!(other.contains("video0"), "{other}");
    }
}
