//! Loops of one source, compiled for the vectors of several processors.

/// Declares functions whose loops use the widest vectors that the processor has: each is compiled
/// for AVX-512, for AVX2 and for what the whole crate is compiled for, and the first of these that
/// the processor can run is called. Without `std`, and elsewhere than on x86-64, there is the last
/// alone.
///
/// Slices that are arguments are known not to overlap, without which many loops stay scalar; that is
/// why what is called is never inlined.
macro_rules! wide {
    ($(
        $(#[$doc:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    )*) => {$(
        $(#[$doc])*
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $result)? $body

            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                body($($argument),*)
            }

            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                body($($argument),*)
            }

            #[inline(never)]
            fn plain($($argument: $type),*) $(-> $result)? {
                body($($argument),*)
            }

            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            match $crate::wide::widest() {
                // SAFETY: the processor has what the function is compiled for.
                #[allow(unsafe_code)]
                $crate::wide::Vectors::Avx512 => return unsafe { avx512($($argument),*) },
                // SAFETY: as above.
                #[allow(unsafe_code)]
                $crate::wide::Vectors::Avx2 => return unsafe { avx2($($argument),*) },
                $crate::wide::Vectors::Plain => (),
            }
            plain($($argument),*)
        }
    )*};
}

pub(crate) use wide;

/// What [`wide!`] compiles for.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Vectors {
    Plain,
    Avx2,
    Avx512,
}

/// The widest of them that the processor has.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(crate) fn widest() -> Vectors {
    let there = if std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512vl")
    {
        Vectors::Avx512
    } else if std::is_x86_feature_detected!("avx2") {
        Vectors::Avx2
    } else {
        Vectors::Plain
    };
    #[cfg(test)]
    let there = there.min(tests::LIMIT.get());
    there
}

/// a / b, rounded down, of a positive b below 2^24, where that is below 2^20.
#[inline(always)]
pub(crate) fn quotient(a: u32, b: u32) -> u32 {
    if !cfg!(target_arch = "x86_64") {
        return a / b;
    }
    // Vectors there divide floats alone, and have no conversion that saturates. The quotient is
    // wrong by three roundings to 24 bits, less than 1 / 4, so that the integer nearest to it is
    // right or too high by one.
    const INTEGERS: f32 = (1 << 23) as f32;
    let nearest = (a as f32 / b as f32 + INTEGERS).to_bits() & ((1 << 23) - 1);
    let rest = a.wrapping_sub(nearest.wrapping_mul(b)) as i32;
    nearest.wrapping_add_signed(rest >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    std::thread_local! {
        /// What a test leaves of the processor's vectors.
        pub(super) static LIMIT: core::cell::Cell<Vectors> = const {
            core::cell::Cell::new(Vectors::Avx512)
        };
    }

    /// What is compiled for narrower vectors than the processor's runs nowhere else.
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    #[test]
    fn all_vectors_compute_the_same() {
        use core::num::NonZeroU8;
        use std::{vec, vec::Vec};

        use residua_shared::rule::{ColumnWeights, Comparison, DecisionRule, MapScale, ZONES};

        use crate::{
            map::AnomalyMap,
            mask::{Run, runs},
        };

        let map_of = |rule: &DecisionRule, width: usize| {
            let scale = rule.scale();
            let mut buffer = vec![0; AnomalyMap::len_for(width, scale)];
            let mut map = AnomalyMap::new(width, rule.comparison(), scale, &mut buffer).unwrap();
            let mut rows: Vec<Vec<u32>> = Vec::new();
            let (mut residual, mut state) = (vec![0; width], 1_u32);
            for _ in 0..40 {
                let mut draw = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state >> 8
                };
                let image: Vec<u8> = (0..width).map(|_| draw() as u8).collect();
                let reconstruction: Vec<i32> =
                    (0..width).map(|_| draw() as i32 % 5_000 - 400).collect();
                let row = map.push_pixels(&image, rule, &reconstruction, &mut residual);
                rows.extend(row.unwrap().map(<[u32]>::to_vec));
            }
            while let Some(row) = map.finish() {
                rows.push(row.to_vec());
            }
            let threshold = rule.pixel_threshold().raw;
            let masks: Vec<Run> = (rows.iter())
                .flat_map(|row| runs(0, row, threshold))
                .collect();
            assert!(!masks.is_empty());
            (rows, masks)
        };
        let plain = |side| MapScale::new(4, side).unwrap();
        let rough = |side| plain(side).weighed_by(NonZeroU8::new(8)).unwrap();
        let columns = ColumnWeights::new([NonZeroU8::new(50).unwrap(); ZONES]);
        for (comparison, scale, columns) in [
            (Comparison::Absolute, plain(5), None),
            (Comparison::Dark, plain(7), None),
            (Comparison::Bright, plain(1).on(NonZeroU8::new(32)), None),
            (Comparison::Dark, rough(11), Some(columns)),
        ] {
            let threshold = scale.steps_per_grey();
            let rule = DecisionRule::new(comparison, scale, threshold, 1, threshold).unwrap();
            let rule = rule.weighing(columns);
            for width in [1, 31, 64, 203] {
                let all = [Vectors::Avx512, Vectors::Avx2, Vectors::Plain].map(|limit| {
                    LIMIT.set(limit);
                    map_of(&rule, width)
                });
                assert!(
                    all.iter().all(|map| *map == all[0]),
                    "{rule:?}, width {width}"
                );
            }
        }
    }

    #[test]
    fn quotients_are_rounded_down() {
        let near = |value: u32| {
            [
                value.saturating_sub(1).max(1),
                value,
                value.saturating_add(1),
            ]
        };
        let bases = [
            1, 2, 3, 7, 255, 256, 510, 511, 4_095, 65_535, 65_537, 10_000_019,
        ];
        let tops = bases.into_iter().chain([1 << 20, 1 << 28, u32::MAX]);
        for a in tops.flat_map(near) {
            for b in bases
                .into_iter()
                .chain([1 << 23, (1 << 24) - 2])
                .flat_map(near)
            {
                let whole = a / b * b;
                for a in [
                    a,
                    whole,
                    whole.saturating_sub(1),
                    whole.saturating_add(b - 1),
                ] {
                    if a / b < 1 << 20 {
                        assert_eq!(quotient(a, b), a / b, "{a} / {b}");
                    }
                }
            }
        }
    }
}
