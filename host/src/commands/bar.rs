//! A bar for something whose length is known, where standard error is a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// The bar; gone when it is dropped.
pub struct Bar(Option<ProgressBar>);

/// A bar for so many bytes.
pub fn new(bytes: u64) -> Bar {
    Bar(stderr().is_terminal().then(|| {
        let style = "{wide_bar:.cyan/dim} {bytes} of {total_bytes}, {eta} left";
        let style = ProgressStyle::with_template(style);
        ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }))
}

impl Bar {
    /// So many of them are done.
    pub fn set(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
