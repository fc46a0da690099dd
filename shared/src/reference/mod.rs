//! The judge: the whole inspection path in plain scalar code over whole frames. Slow and obvious;
//! whatever another implementation yields must equal what this one does, bit for bit.

pub mod columns;
pub mod map;
pub mod mask;
pub mod reconstruction;
pub mod regions;
pub mod residual;
pub mod roughness;
pub mod verdict;
