//! Woven cloth: threads over and under each other in plain or twill weave.

use rand::Rng;
use residua_shared::frame::Size;

use super::{
    noise::{Noise, mix, smooth},
    random::{below, between, chance},
};

#[derive(Clone, Debug)]
pub struct Cloth {
    /// Distance of the threads in pixels.
    pitch: f32,
    /// Half the width of a thread, of half the pitch.
    fullness: f32,
    twill: bool,
    /// Grey levels of upright and of lying threads, of what lies behind, and of their roundness.
    warp: f32,
    weft: f32,
    ground: f32,
    relief: f32,
    /// How far the threads sway from straight lines, in pixels.
    sway: f32,
    sways: [Noise; 2],
    threads: [Noise; 2],
    fibres: [Noise; 2],
    offset: (f32, f32),
    slope: f32,
}

/// A thread that is missing for a part of its length.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    upright: bool,
    thread: i32,
    from: f32,
    to: f32,
}

/// One of the two thread systems at one place of the cloth.
#[derive(Clone, Copy)]
struct Thread {
    /// Which thread of its system.
    index: i32,
    /// Across the thread, -1 to 1 over the pitch.
    across: f32,
    /// Along it, in pixels.
    along: f32,
}

impl Cloth {
    pub fn new(set: &mut impl Rng, image: &mut impl Rng) -> Self {
        let pitch = between(set, 7.5, 10.5);
        let noises = |rng: &mut _| [Noise::new(rng), Noise::new(rng)];
        Self {
            pitch,
            fullness: between(set, 0.86, 0.96),
            twill: chance(set, 0.4),
            warp: between(set, 140.0, 170.0),
            weft: between(set, 120.0, 150.0),
            ground: between(set, 35.0, 55.0),
            relief: between(set, 38.0, 52.0),
            sway: between(set, 0.6, 1.2),
            sways: noises(image),
            threads: noises(image),
            fibres: noises(image),
            offset: (
                between(image, 0.0, 8.0 * pitch),
                between(image, 0.0, 8.0 * pitch),
            ),
            slope: between(image, -0.015, 0.015),
        }
    }

    /// A missing thread that crosses an image of this `size`, at least a third of the way.
    pub fn gap(&self, size: Size, rng: &mut impl Rng) -> Gap {
        let upright = chance(rng, 0.5);
        let (across, along, offset) = if upright {
            (size.width(), size.height(), self.offset.0)
        } else {
            (size.height(), size.width(), self.offset.1)
        };
        // Two threads off the border, where the slope would move it out of the image.
        let threads = (across as f32 / self.pitch) as usize;
        let thread = 2 + below(rng, threads.saturating_sub(4)) as i32;
        let length = along as f32 * between(rng, 0.34, 1.2);
        let from = between(rng, -0.1, 0.75) * along as f32;
        Gap {
            upright,
            thread: (offset / self.pitch) as i32 + thread,
            from: from + self.offset_along(upright),
            to: from + length + self.offset_along(upright),
        }
    }

    fn offset_along(&self, upright: bool) -> f32 {
        if upright {
            self.offset.1
        } else {
            self.offset.0
        }
    }

    pub fn grey(&self, x: f32, y: f32, gap: Option<&Gap>) -> f32 {
        let (x, y) = self.on_cloth(x, y);
        let warp = self.thread(x, y);
        let weft = self.thread(y, x);
        let [has_warp, has_weft] = [(true, warp), (false, weft)].map(|(upright, thread)| {
            gap.is_none_or(|gap| {
                gap.upright != upright
                    || gap.thread != thread.index
                    || !(gap.from..gap.to).contains(&thread.along)
            })
        });
        let warp_over = if self.twill {
            (warp.index + weft.index).rem_euclid(4) < 2
        } else {
            (warp.index + weft.index).rem_euclid(2) == 0
        };
        // From the back to the front: the ground, the thread below, the thread above.
        let mut layers = [
            (0, warp, has_warp, self.warp),
            (1, weft, has_weft, self.weft),
        ];
        if warp_over {
            layers.swap(0, 1);
        }
        let mut grey = self.ground;
        for (depth, (system, thread, present, level)) in layers.into_iter().enumerate() {
            if present {
                let lit = self.lit(system, thread, level, depth == 1);
                grey = mix(grey, lit, self.covers(thread));
            }
        }
        grey
    }

    /// Where a pixel lies on the cloth, which sways and is not quite straight.
    fn on_cloth(&self, x: f32, y: f32) -> (f32, f32) {
        let [across, down] = self
            .sways
            .map(|noise| self.sway * noise.at(x / 45.0, y / 45.0));
        (
            x + self.slope * y + across + self.offset.0,
            y - self.slope * x + down + self.offset.1,
        )
    }

    fn thread(&self, across: f32, along: f32) -> Thread {
        let at = across / self.pitch;
        Thread {
            index: at.floor() as i32,
            across: 2.0 * (at - at.floor()) - 1.0,
            along,
        }
    }

    /// How much of the pixel the thread covers: its edges are a pixel wide.
    fn covers(&self, thread: Thread) -> f32 {
        let pixels = (self.fullness - thread.across.abs()) * self.pitch / 2.0;
        smooth(pixels + 0.5)
    }

    /// A thread's grey: rounded, spun of fibres, each a little lighter or darker than the next, and
    /// in the shade where it goes under.
    fn lit(&self, system: usize, thread: Thread, level: f32, above: bool) -> f32 {
        let own = self.threads[system].lattice(thread.index, 0);
        let thick = self.threads[system].at(thread.along / 25.0, thread.index as f32 * 7.3);
        // Fibres are twisted, so that they run aslant.
        let twisted = thread.across * 2.2 + thread.along / 3.5;
        let fibre =
            self.fibres[system].at(twisted, thread.index as f32 * 5.0 + thread.along / 14.0);
        let across = thread.across / self.fullness;
        // The middle of a crossing stands out most.
        let crossing =
            2.0 * (thread.along / self.pitch - (thread.along / self.pitch).floor()) - 1.0;
        let height = 1.0
            - across * across
            - if above {
                0.35 * crossing * crossing
            } else {
                0.4
            };
        let side = if system == 0 { across } else { -across };
        level + 7.0 * own + 5.0 * thick + 6.0 * fibre + self.relief * (height - 0.55) - 5.0 * side
    }
}
