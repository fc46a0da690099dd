//! Image files in a folder, in the order of their names.
//!
//! Whoever puts them there writes under a name that begins with a dot or ends in `.part` or `.tmp`,
//! and renames the file when it is complete; a file that cannot be decoded is tried again until it
//! has stayed as it is for two seconds, should it have been written under its own name.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use image::{DynamicImage, ImageReader};
use residua_shared::frame::Size;

use super::{Event, Source, TICK};
use crate::{
    config,
    events::{Level, log},
};

/// A file that was not written to for so long is complete.
const SETTLED: Duration = Duration::from_secs(2);

/// Images from a folder.
#[derive(Debug)]
pub struct Folder {
    config: config::Folder,
    size: Size,
    /// The files that wait, the next one last.
    waiting: Vec<PathBuf>,
    /// The one given last.
    current: Option<PathBuf>,
}

impl Folder {
    /// Images of `size` from a folder. Errors where the folder is missing or the one for inspected
    /// files cannot be made.
    pub fn new(config: &config::Folder, size: Size) -> Result<Self> {
        let mut folder = Self {
            config: config.clone(),
            size,
            waiting: Vec::new(),
            current: None,
        };
        folder.list()?;
        if let Some(done) = &config.done {
            fs::create_dir_all(done).with_context(|| {
                format!(
                    "{}: source.folder.done cannot be made; check the rights",
                    done.display()
                )
            })?;
        }
        Ok(folder)
    }

    fn list(&mut self) -> Result<()> {
        let path = &self.config.path;
        let problem = || {
            format!(
                "{}: source.folder.path cannot be read; make the folder or check the rights",
                path.display()
            )
        };
        for entry in fs::read_dir(path).with_context(problem)? {
            let file = entry.with_context(problem)?.path();
            if is_image(&file) {
                self.waiting.push(file);
            }
        }
        self.waiting.sort_unstable_by(|a, b| b.cmp(a));
        Ok(())
    }

    /// Puts the file where inspected files go.
    fn finish(&self, file: &Path) -> Result<()> {
        let (done, what) = match (&self.config.done, file.file_name()) {
            (Some(done), Some(name)) => (
                fs::rename(file, done.join(name)),
                "moved to source.folder.done",
            ),
            _ => (fs::remove_file(file), "deleted"),
        };
        done.with_context(|| {
            format!(
                "{}: cannot be {what}, and would be inspected again; check the rights",
                file.display()
            )
        })
    }
}

impl Source for Folder {
    fn next(&mut self, pixels: &mut [u8]) -> Result<Event> {
        if self.waiting.is_empty() {
            self.list()?;
        }
        let Some(file) = self.waiting.pop() else {
            if !self.config.watch {
                return Ok(Event::End);
            }
            thread::sleep(TICK);
            return Ok(Event::Idle);
        };
        let problem = match decode(&file) {
            Ok(image) if (image.width(), image.height()) == sides(self.size) => {
                pixels.copy_from_slice(image.as_bytes());
                self.current = Some(file);
                return Ok(Event::Image);
            }
            Ok(image) => format!(
                "the image is {}x{} but the model takes {}",
                image.width(),
                image.height(),
                self.size
            ),
            Err(error) if unsettled(&file) => {
                log(
                    Level::Debug,
                    "image_incomplete",
                    &[("file", &file.display()), ("error", &error)],
                );
                thread::sleep(TICK / 10);
                return Ok(Event::Idle);
            }
            Err(error) => format!("{error:#}"),
        };
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.current = Some(file);
        Ok(Event::Unusable(format!("{name}: {problem}")))
    }

    fn done(&mut self) -> Result<()> {
        match self.current.take() {
            Some(file) => self.finish(&file),
            None => Ok(()),
        }
    }
}

fn sides(size: Size) -> (u32, u32) {
    (size.width() as u32, size.height() as u32)
}

fn is_image(file: &Path) -> bool {
    let hidden = file
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    !hidden
        && ["png", "pgm", "pnm"]
            .iter()
            .any(|known| extension == *known)
}

/// Whether the file may still be written to, or is gone.
fn unsettled(file: &Path) -> bool {
    let modified = fs::metadata(file).and_then(|data| data.modified());
    let Ok(modified) = modified else { return true };
    // One from the future (the clock was set back) never settles by its age.
    SystemTime::now()
        .duration_since(modified)
        .is_ok_and(|age| age < SETTLED)
}

fn decode(file: &Path) -> Result<DynamicImage> {
    let image = ImageReader::open(file)?.with_guessed_format()?.decode()?;
    match image {
        DynamicImage::ImageLuma8(_) => Ok(image),
        image => anyhow::bail!(
            "its pixels are {:?}; have the camera write 8-bit grey PNG or PGM",
            image.color()
        ),
    }
}
