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
            {
                if $crate::wide::has_avx512() {
                    // SAFETY: the processor has what the function is compiled for.
                    #[allow(unsafe_code)]
                    return unsafe { avx512($($argument),*) };
                }
                if std::is_x86_feature_detected!("avx2") {
                    // SAFETY: as above.
                    #[allow(unsafe_code)]
                    return unsafe { avx2($($argument),*) };
                }
            }
            plain($($argument),*)
        }
    )*};
}

pub(crate) use wide;

/// Whether the processor has the parts of AVX-512 that [`wide!`] compiles for.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(crate) fn has_avx512() -> bool {
    std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512vl")
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
