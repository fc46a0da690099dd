//! What ends an inspection until a restart.

use core::fmt;

use residua_edge::{gate::GateFault, rows::OrderError};
use residua_shared::wire::FaultKind;

/// What failed; it tells people what, and the remedy.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// Rows are missing, or have another width.
    Rows(OrderError),
    /// The gate.
    Gate(GateFault),
    /// What else there is.
    Other(FaultKind, &'static str),
}

impl Trouble {
    /// What the wire calls it.
    pub fn kind(self) -> FaultKind {
        match self {
            Self::Rows(_) => FaultKind::Image,
            Self::Gate(fault) => fault.kind(),
            Self::Other(kind, _) => kind,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(error) => error.fmt(f),
            Self::Gate(fault) => fault.fmt(f),
            Self::Other(_, detail) => f.write_str(detail),
        }
    }
}

impl From<OrderError> for Trouble {
    fn from(error: OrderError) -> Self {
        Self::Rows(error)
    }
}

impl From<GateFault> for Trouble {
    fn from(fault: GateFault) -> Self {
        Self::Gate(fault)
    }
}
