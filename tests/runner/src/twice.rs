//! A kernel that computes some rows twice: by what a count of instructions is higher then, these rows
//! take.

use core::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use residua_edge::engine::native::kernel::{self, Format, Kernel, Row};

/// Another kernel, some of whose rows are computed twice.
#[derive(Debug)]
struct Twice {
    /// The kernel's number.
    kernel: AtomicUsize,
    /// Where the weights of these rows lie.
    start: AtomicUsize,
    end: AtomicUsize,
}

/// The program inspects one case at a time.
static TWICE: Twice = Twice {
    kernel: AtomicUsize::new(0),
    start: AtomicUsize::new(0),
    end: AtomicUsize::new(0),
};

/// The kernel of this number among those that the processor can run, which computes rows twice whose
/// weights lie at these addresses; until this is called again.
pub fn twice(number: u8, weights: Range<usize>) -> Option<&'static dyn Kernel> {
    let number = usize::from(number);
    kernel::all().get(number)?;
    TWICE.kernel.store(number, Relaxed);
    TWICE.start.store(weights.start, Relaxed);
    TWICE.end.store(weights.end, Relaxed);
    Some(&TWICE)
}

impl Twice {
    fn kernel(&self) -> &'static dyn Kernel {
        kernel::all()[self.kernel.load(Relaxed)]
    }

    fn times(&self, row: &Row<'_>) -> usize {
        let weights = self.start.load(Relaxed)..self.end.load(Relaxed);
        1 + usize::from(weights.contains(&row.weights.as_ptr().addr()))
    }
}

impl Kernel for Twice {
    fn name(&self) -> &'static str {
        "twice"
    }

    fn formats(&self) -> &'static [Format] {
        self.kernel().formats()
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        let kernel = self.kernel();
        (0..self.times(row)).for_each(|_| kernel.activations(row, output));
    }

    fn sums(&self, row: &Row<'_>, output: &mut [i32]) {
        let kernel = self.kernel();
        (0..self.times(row)).for_each(|_| kernel.sums(row, output));
    }
}
