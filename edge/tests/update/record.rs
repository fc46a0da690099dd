//! Records and keys byte by byte.

use residua_edge::update::{KeyError, RECORD, Record, SigningKey, TrustedKey};

use crate::models::{key, model};

fn record() -> Record {
    let model = model(1);
    Record {
        header: model.header,
        signature: model.signature,
    }
}

#[test]
fn a_record_returns_as_it_was() {
    let bytes = record().to_bytes();
    assert_eq!(bytes[..64], record().header.signed_bytes());
    assert_eq!(bytes[64..128], record().signature.to_bytes());
    assert_eq!(Record::from_bytes(&bytes), Some(record()));
}

#[test]
fn no_damaged_torn_or_empty_record_is_one() {
    let bytes = record().to_bytes();
    for bit in 0..8 * RECORD {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Record::from_bytes(&damaged), None, "bit {bit}");
    }
    for filler in [0, 0xff] {
        for torn in 0..RECORD {
            let mut rest = [filler; RECORD];
            rest[..torn].copy_from_slice(&bytes[..torn]);
            assert_eq!(Record::from_bytes(&rest), None, "{torn} bytes");
        }
    }
}

#[test]
fn no_signature_fits_when_any_bit_of_header_or_signature_changed() {
    assert!(key().verifies(&record()));
    let bytes = record().to_bytes();
    for bit in 0..8 * 128 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&changed[..128]);
        changed[128..].copy_from_slice(&checksum.to_le_bytes());
        // Some bits make no header at all.
        if let Some(record) = Record::from_bytes(&changed) {
            assert!(!key().verifies(&record), "bit {bit}");
        }
    }
}

/// RFC 8032, section 7.1, test 1.
#[test]
fn the_public_key_follows_from_the_seed_as_the_standard_says() {
    let hex = |text: &str| -> [u8; 32] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..][..2], 16).unwrap())
    };
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(SigningKey::from_seed(&seed).trusted().to_bytes(), public);
    assert_eq!(TrustedKey::from_bytes(&public).unwrap().to_bytes(), public);
}

#[test]
fn keys_that_trust_everyone_or_are_none_are_refused() {
    // The neutral point fits every signature that an attacker makes for it.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(TrustedKey::from_bytes(&neutral), Err(KeyError));
    assert_eq!(TrustedKey::from_bytes(&[0; 32]), Err(KeyError));
    let mut none = [0; 32];
    none[0] = 2;
    assert_eq!(TrustedKey::from_bytes(&none), Err(KeyError));
}

#[test]
fn a_secret_is_not_printed() {
    let printed = format!("{:?}", SigningKey::from_seed(&[7; 32]));
    assert_eq!(printed, "SigningKey(secret)");
    assert!(format!("{:?}", key()).starts_with("TrustedKey("));
}
