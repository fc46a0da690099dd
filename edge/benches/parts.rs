//! The parts of an inspection, one by one: `cargo bench -p residua-edge --features std`. Without `std`
//! the scalar kernel is the only one.

use std::{hint::black_box, num::NonZeroU8};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use residua_edge::{
    engine::native::{
        Plan,
        kernel::{self, Row, Stretch},
    },
    map::AnomalyMap,
    mask::{Run, runs},
    regions::{Labeler, RegionEntry, RunEntry, max_regions, max_runs},
    residual::residual,
};
use residua_shared::{
    frame::Size,
    net::{Layer, Net, Pads, Requantization, Source},
    rule::{ColumnWeights, Comparison, DecisionRule, MapScale, ZONES},
};

const WIDTH: usize = 512;

/// A layer as a kernel sees it: the rows of taps and the bytes of each, the bytes from one pixel's to
/// the next one's, output channels and pixels.
struct Shape {
    name: &'static str,
    rows: usize,
    bytes: usize,
    step: usize,
    outputs: usize,
    width: usize,
}

/// The layers of the presets that take most of the time, on images 512 pixels wide.
const SHAPES: [Shape; 5] = [
    Shape {
        name: "11x11 on the image, 1 to 8, two pixels together",
        rows: 11,
        bytes: 12,
        step: 2,
        outputs: 16,
        width: 256,
    },
    Shape {
        name: "9x9 by 2, 8 to 8",
        rows: 9,
        bytes: 72,
        step: 16,
        outputs: 8,
        width: 256,
    },
    Shape {
        name: "5x5 by 2, 8 to 16",
        rows: 5,
        bytes: 40,
        step: 16,
        outputs: 16,
        width: 128,
    },
    Shape {
        name: "11x11 transposed, 8 + 8 to 8",
        rows: 12,
        bytes: 48,
        step: 8,
        outputs: 16,
        width: 256,
    },
    Shape {
        name: "5x5 transposed, 8 + 8 to 8",
        rows: 6,
        bytes: 24,
        step: 8,
        outputs: 16,
        width: 256,
    },
];

/// A row of each layer by each kernel, in multiply-accumulates.
fn kernels(criterion: &mut Criterion) {
    for shape in SHAPES {
        let mut group = criterion.benchmark_group(shape.name);
        let macs = shape.rows * shape.bytes * shape.outputs * shape.width;
        group.throughput(Throughput::Elements(macs as u64));
        for kernel in kernel::all() {
            let format = kernel.formats()[0];
            let length = shape.bytes.next_multiple_of(format.depth);
            let bytes = vec![7; (shape.width - 1) * shape.step + length];
            let stretch = Stretch {
                bytes: &bytes,
                step: shape.step,
                length,
            };
            let taps = shape.rows * length;
            let block = format.head() + taps * format.lanes * format.weight();
            let row = Row {
                stretches: &vec![stretch; shape.rows],
                width: shape.width,
                weights: &vec![0; block * shape.outputs.div_ceil(format.lanes)],
                format,
                outputs: shape.outputs,
                step: shape.outputs,
            };
            let mut output = vec![0; shape.width * shape.outputs];
            group.bench_function(BenchmarkId::from_parameter(kernel.name()), |bencher| {
                bencher.iter(|| kernel.activations(black_box(&row), &mut output));
            });
        }
    }
}

/// The weights of an 11x11 and a 9x9 layer, packed as at load.
fn packing(criterion: &mut Criterion) {
    let size = Size::new(64, 64).unwrap();
    let weights: Vec<u8> = (0..8 * 8 * 81).map(|n| (n % 251) as u8 % 127).collect();
    let scales: Vec<u8> = [1.0_f32 / 128.0; 8]
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let layer = |name, source, input_channels, kernel: usize| {
        let pad = kernel / 2;
        Layer {
            name,
            source,
            input_channels,
            output_channels: 8,
            kernel,
            stride: 1,
            pads: Pads {
                top: pad,
                left: pad,
                bottom: pad,
                right: pad,
            },
            weights: &weights[..8 * input_channels * kernel * kernel],
            biases: &[0; 32],
            requantization: Some(Requantization {
                weight_scales: &scales,
                exponent: 0,
            }),
            depth_to_space: false,
        }
    };
    let output = Layer {
        output_channels: 1,
        weights: &weights[..8],
        biases: &[0; 4],
        requantization: None,
        ..layer("output", Source::Layer(1), 8, 1)
    };
    let layers = [
        layer("first", Source::Image, 1, 11),
        layer("second", Source::Layer(0), 8, 9),
        output,
    ];
    let net = Net::new(layers.into_iter().collect(), size, 4).unwrap();
    let plan = Plan::new(&net).unwrap();
    let mut group = criterion.benchmark_group("packing");
    for kernel in kernel::all() {
        let formats = kernel.formats();
        let mut packed = vec![0; plan.packed_len(formats)];
        group.throughput(Throughput::Bytes(packed.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(kernel.name()), |bencher| {
            bencher.iter(|| plan.pack(black_box(&net), formats, &mut packed));
        });
    }
}

/// The way from a row of the reconstruction to the runs of the mask, step by step, in pixels.
fn rows(criterion: &mut Criterion) {
    let image: Vec<u8> = (0..WIDTH).map(|n| (n * n / 7) as u8).collect();
    let reconstruction: Vec<i32> = (0..WIDTH).map(|n| (n * 31 % 4080) as i32).collect();
    let mut group = criterion.benchmark_group("a row of 512 pixels");
    group.throughput(Throughput::Elements(WIDTH as u64));
    let plain = |side| MapScale::new(4, side).unwrap();

    let mut residuals = vec![0; WIDTH];
    let columns = ColumnWeights::new([NonZeroU8::MAX; ZONES]);
    for (name, scale, columns) in [
        ("residual", plain(5), None),
        ("contrast", plain(5).on(NonZeroU8::new(32)), None),
        ("columns", plain(5), Some(columns)),
    ] {
        let rule = DecisionRule::new(Comparison::Absolute, scale, 1, 1, 1).unwrap();
        let rule = rule.weighing(columns);
        group.bench_function(name, |bencher| {
            bencher.iter(|| residual(&image, &rule, black_box(&reconstruction), &mut residuals));
        });
    }
    for (name, scale) in [
        ("map, box 5", plain(5)),
        ("map, box 31", plain(31)),
        (
            "map, box 5, roughness",
            plain(5).weighed_by(NonZeroU8::new(8)).unwrap(),
        ),
    ] {
        let mut buffer = vec![0; AnomalyMap::len_for(WIDTH, scale)];
        let mut map = AnomalyMap::new(WIDTH, Comparison::Absolute, scale, &mut buffer).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let row = map.push(black_box(&residuals), &reconstruction).unwrap();
                black_box(row);
            });
        });
    }
    {
        let mut buffer = vec![0; AnomalyMap::len_for(WIDTH, plain(5))];
        let mut map = AnomalyMap::new(WIDTH, Comparison::Absolute, plain(5), &mut buffer).unwrap();
        let rule = DecisionRule::new(Comparison::Absolute, plain(5), 1, 1, 1).unwrap();
        group.bench_function("image to map, box 5", |bencher| {
            bencher.iter(|| {
                let row = black_box(&reconstruction);
                let row = map.push_pixels(black_box(&image), &rule, row, &mut residuals);
                black_box(row.unwrap());
            });
        });
    }
    for (name, step) in [("runs, none", WIDTH), ("runs, every 8th pixel", 8)] {
        let map: Vec<u32> = (0..WIDTH)
            .map(|x| {
                if x % step == step - 1 && step < WIDTH {
                    99
                } else {
                    3
                }
            })
            .collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| runs(0, black_box(&map), 50).for_each(|run| _ = black_box(run)));
        });
    }
}

/// The regions of a frame whose every row has a run in every 8 pixels.
fn labelling(criterion: &mut Criterion) {
    let size = Size::new(WIDTH, 256).unwrap();
    let run = |row: u16, start: u16| Run {
        row,
        start: start + row % 4,
        end: start + row % 4 + 3,
        peak: 9,
    };
    let columns = || (0..WIDTH as u16 - 8).step_by(8);
    let all: Vec<Run> = (0..256)
        .flat_map(|row| columns().map(move |start| run(row, start)))
        .collect();
    let mut runs = vec![RunEntry::default(); max_runs(size)];
    let mut regions = vec![RegionEntry::default(); max_regions(size)];
    let mut group = criterion.benchmark_group("labelling");
    group.throughput(Throughput::Elements(all.len() as u64));
    group.bench_function("runs", |bencher| {
        bencher.iter(|| {
            let mut labeler = Labeler::new(&mut runs, &mut regions);
            black_box(&all).iter().for_each(|&run| labeler.push(run));
            black_box(labeler.finish().iter().count())
        });
    });
}

criterion_group!(parts, kernels, packing, rows, labelling);
criterion_main!(parts);
