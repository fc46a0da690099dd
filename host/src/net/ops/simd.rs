//! Vectors of floats of whatever width the processor has, over `pulp`.

use pulp::Simd;

/// A float that the kernels compute in: `f32` to train, `f64` to check gradients.
pub trait Real: candle_core::WithDType + bytemuck::Pod {
    /// A register full of them.
    type Vector<S: Simd>: bytemuck::Pod;

    const ZERO: Self;

    /// Floats in a vector.
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }

    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// `a * b + c`, fused where the processor can.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

macro_rules! real {
    ($float:ty, $vector:ident, $splat:ident, $mul_add:ident, $mul:ident, $add:ident) => {
        impl Real for $float {
            type Vector<S: Simd> = S::$vector;

            const ZERO: Self = 0.0;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn mul_add<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                c: S::$vector,
            ) -> S::$vector {
                // Without the instruction a fused product is a slow library call.
                if S::IS_SCALAR {
                    simd.$add(simd.$mul(a, b), c)
                } else {
                    simd.$mul_add(a, b, c)
                }
            }
        }
    };
}

real!(f32, f32s, splat_f32s, mul_add_f32s, mul_f32s, add_f32s);
real!(f64, f64s, splat_f64s, mul_add_f64s, mul_f64s, add_f64s);

/// The vector that starts at `values[at]`, whatever its alignment.
#[inline(always)]
pub fn load<T: Real, S: Simd>(values: &[T], at: usize) -> T::Vector<S> {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(&values[at..at + T::lanes::<S>()]))
}

/// The vector's floats.
#[inline(always)]
pub fn floats<T: Real, S: Simd>(vector: &T::Vector<S>) -> &[T] {
    bytemuck::cast_slice(std::slice::from_ref(vector))
}

/// The floats as vectors; their number must be a multiple of the lanes.
#[inline(always)]
pub fn vectors<T: Real, S: Simd>(values: &[T]) -> &[T::Vector<S>] {
    bytemuck::cast_slice(values)
}

/// The floats as vectors to change; their number must be a multiple of the lanes.
#[inline(always)]
pub fn vectors_mut<T: Real, S: Simd>(values: &mut [T]) -> &mut [T::Vector<S>] {
    bytemuck::cast_slice_mut(values)
}
