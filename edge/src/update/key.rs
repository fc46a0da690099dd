//! Who may give a device new models: ed25519 (RFC 8032), by ed25519-dalek.

use core::fmt;

use ed25519_dalek::{Signer as _, VerifyingKey};
use residua_shared::wire::{ModelHeader, Signature};

use super::Record;

/// The public key on the device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TrustedKey(VerifyingKey);

impl TrustedKey {
    /// The key in its 32 bytes; errors where they are no key, or one that fits any signature.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(KeyError),
        }
    }

    /// The key in its 32 bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether the record's signature was made by this key's owner for its header.
    pub fn verifies(&self, record: &Record) -> bool {
        let signature = record.signature.to_bytes().into();
        let message = record.header.signed_bytes();
        self.0.verify_strict(&message, &signature).is_ok()
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustedKey(")?;
        self.to_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The bytes are no public key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyError;

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key: these 32 bytes are no ed25519 public key; copy the signer's again")
    }
}

impl core::error::Error for KeyError {}

/// The private key, on the host alone.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key that follows from 32 secret, random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// What devices must have to trust this key.
    pub fn trusted(&self) -> TrustedKey {
        TrustedKey(self.0.verifying_key())
    }

    /// Signs a header.
    pub fn sign(&self, header: &ModelHeader) -> Signature {
        self.0.sign(&header.signed_bytes()).to_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(secret)")
    }
}
