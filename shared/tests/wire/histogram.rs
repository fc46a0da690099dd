//! Latencies fall into the bucket whose bounds hold them.

use residua_shared::wire::{BUCKETS, Histogram};

#[test]
fn buckets_have_the_bounds_stated() {
    for (us, bucket) in [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 1),
        (4, 2),
        (1023, 9),
        (1024, 10),
    ] {
        assert_eq!(Histogram::bucket(us), bucket, "{us} µs");
    }
    assert_eq!(Histogram::bucket((1 << 23) - 1), BUCKETS - 2);
    assert_eq!(Histogram::bucket(1 << 23), BUCKETS - 1);
    assert_eq!(Histogram::bucket(u32::MAX), BUCKETS - 1);
    for bucket in 0..BUCKETS - 1 {
        let bound = Histogram::bound(bucket).unwrap();
        assert_eq!(Histogram::bucket(bound - 1), bucket);
        assert_eq!(Histogram::bucket(bound), bucket + 1);
    }
    assert_eq!(Histogram::bound(BUCKETS - 1), None);
    assert_eq!(Histogram::bound(BUCKETS), None);
}

#[test]
fn counts_total_and_maximum_are_kept_and_never_wrap() {
    let mut histogram = Histogram::default();
    for us in [5, 6, 1000] {
        histogram.record(us);
    }
    assert_eq!((histogram.counts[2], histogram.counts[9]), (2, 1));
    assert_eq!(histogram.count(), 3);
    assert_eq!((histogram.total_us, histogram.max_us), (1011, 1000));

    histogram.counts[2] = u64::MAX;
    histogram.total_us = u64::MAX;
    histogram.record(5);
    assert_eq!(histogram.counts[2], u64::MAX);
    assert_eq!(histogram.total_us, u64::MAX);
    assert_eq!(histogram.count(), u64::MAX);
}
