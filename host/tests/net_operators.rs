//! The operators against candle's own and against finite differences, over random shapes, in f64.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use residua_host::net::ops;

const CASES: u64 = 60;

struct Random(ChaCha8Rng);

impl Random {
    fn new(case: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(case))
    }

    fn pick(&mut self, from: std::ops::RangeInclusive<usize>) -> usize {
        self.0.random_range(from)
    }

    fn kernel(&mut self) -> usize {
        2 * self.pick(0..=5) + 1
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count)
            .map(|_| self.0.random_range(-1.0..=1.0))
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn var(&mut self, shape: &[usize]) -> Var {
        Var::from_tensor(&self.tensor(shape)).unwrap()
    }
}

fn largest(t: &Tensor) -> f64 {
    let t = t.abs().unwrap().flatten_all().unwrap();
    t.max(0).unwrap().to_scalar().unwrap()
}

fn assert_close(ours: &Tensor, theirs: &Tensor, what: &str) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let difference = largest(&(ours - theirs).unwrap());
    let tolerance = 1e-12 * (1.0 + largest(theirs)) * 1e3;
    assert!(difference <= tolerance, "{what}: {difference}");
}

/// Compares the derivative along a random direction of every argument with the change of the
/// output's weighted sum over a small step.
fn check_gradients(
    what: &str,
    random: &mut Random,
    arguments: &[&Var],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let tensors: Vec<Tensor> = arguments.iter().map(|v| v.as_tensor().clone()).collect();
    let output = f(&tensors).unwrap();
    let weights = random.tensor(output.dims());
    let weighted = |y: Tensor| (y * &weights).unwrap().sum_all().unwrap();
    let gradients = weighted(output).backward().unwrap();
    for (i, argument) in arguments.iter().enumerate() {
        let direction = random.tensor(argument.dims());
        let gradient = gradients.get(argument).unwrap();
        let expected = (gradient * &direction).unwrap().sum_all().unwrap();
        let expected: f64 = expected.to_scalar().unwrap();
        let at = |step: f64| -> f64 {
            let mut moved: Vec<Tensor> = tensors.iter().map(Tensor::detach).collect();
            moved[i] = (&moved[i] + (&direction * step).unwrap()).unwrap();
            weighted(f(&moved).unwrap()).to_scalar().unwrap()
        };
        // Small, so that hardly ever a value crosses the activation's kink on the way.
        let step = 1e-7;
        let measured = (at(step) - at(-step)) / (2.0 * step);
        let difference = (measured - expected).abs();
        assert!(
            difference < 1e-5 * (1.0 + expected.abs()),
            "{what}, argument {i}: {measured} measured, {expected} computed"
        );
    }
}

#[test]
fn convolution() {
    for case in 0..CASES {
        let mut random = Random::new(case);
        let (kernel, stride) = (random.kernel(), random.pick(1..=2));
        let [batch, inputs, outputs] = [3, 5, 14].map(|most| random.pick(1..=most));
        let [height, width] = [20, 40].map(|most| random.pick(1..=most));
        let what =
            format!("{inputs}→{outputs}, kernel {kernel}, stride {stride}, {width}x{height}");
        let x = random.var(&[batch, inputs, height, width]);
        let weight = random.var(&[outputs, inputs, kernel, kernel]);

        let ours = ops::conv2d(&x, &weight, stride).unwrap();
        let stock = x.conv2d(&weight, kernel / 2, stride, 1, 1).unwrap();
        assert_close(&ours, &stock, &what);
        check_gradients(&what, &mut random, &[&x, &weight], |args| {
            ops::conv2d(&args[0], &args[1], stride)
        });
    }
}

#[test]
fn transposed_convolution() {
    for case in 0..CASES {
        let mut random = Random::new(1000 + case);
        let kernel = random.kernel();
        let [batch, inputs, outputs] = [3, 5, 14].map(|most| random.pick(1..=most));
        let [height, width] = [10, 20].map(|most| random.pick(1..=most));
        let what = format!("{inputs}→{outputs}, kernel {kernel}, {width}x{height}");
        let x = random.var(&[batch, inputs, height, width]);
        let weight = random.var(&[inputs, outputs, kernel, kernel]);

        let ours = ops::conv_transpose2d(&x, &weight).unwrap();
        let stock = x.conv_transpose2d(&weight, kernel / 2, 1, 2, 1).unwrap();
        assert_close(&ours, &stock, &what);
        check_gradients(&what, &mut random, &[&x, &weight], |args| {
            ops::conv_transpose2d(&args[0], &args[1])
        });
    }
}

#[test]
fn gradients_are_those_of_the_stock_operators() {
    for case in 0..CASES {
        let mut random = Random::new(2000 + case);
        let (kernel, stride) = (random.kernel(), random.pick(1..=2));
        let [inputs, outputs] = [5, 14].map(|most| random.pick(1..=most));
        // candle's own gradient of a strided convolution needs even sides.
        let [height, width] = [10, 20].map(|most| 2 * random.pick(1..=most));
        let x = random.var(&[2, inputs, height, width]);
        let weight = random.var(&[outputs, inputs, kernel, kernel]);
        let up = random.var(&[2, outputs, height, width]);
        let compare = |what: &str, input: &Var, ours: Tensor, stock: Tensor| {
            let gradients = |y: Tensor| y.sin().unwrap().sum_all().unwrap().backward().unwrap();
            let (ours, stock) = (gradients(ours), gradients(stock));
            for var in [input, &weight] {
                assert_close(ours.get(var).unwrap(), stock.get(var).unwrap(), what);
            }
        };
        compare(
            "convolution",
            &x,
            ops::conv2d(&x, &weight, stride).unwrap(),
            x.conv2d(&weight, kernel / 2, stride, 1, 1).unwrap(),
        );
        compare(
            "transposed convolution",
            &up,
            ops::conv_transpose2d(&up, &weight).unwrap(),
            up.conv_transpose2d(&weight, kernel / 2, 1, 2, 1).unwrap(),
        );
    }
}

#[test]
fn batch_norm_with_activation() {
    for case in 0..CASES {
        let mut random = Random::new(3000 + case);
        let [batch, channels, height, width] = [3, 8, 9, 40].map(|most| random.pick(1..=most));
        let slope = [0.0, 0.2][random.pick(0..=1)];
        let what = format!("{batch}x{channels}, {width}x{height}, slope {slope}");
        let x = random.var(&[batch + 1, channels, height, width]);
        let (weight, bias) = (random.var(&[channels]), random.var(&[channels]));

        let (ours, moments) = ops::batch_norm_activation(&x, &weight, &bias, slope).unwrap();
        let channelwise = |t: &Tensor| t.reshape((1, channels, 1, 1)).unwrap();
        let mean = x.mean_keepdim((0, 2, 3)).unwrap();
        let centred = x.broadcast_sub(&mean).unwrap();
        let variance = centred.sqr().unwrap().mean_keepdim((0, 2, 3)).unwrap();
        let deviation = (&variance + 1e-5).unwrap().sqrt().unwrap();
        let normal = centred.broadcast_div(&deviation).unwrap();
        let y = normal.broadcast_mul(&channelwise(&weight)).unwrap();
        let y = y.broadcast_add(&channelwise(&bias)).unwrap();
        let negative = (y.neg().unwrap().relu().unwrap() * slope).unwrap();
        let stock = (y.relu().unwrap() - negative).unwrap();
        assert_close(&ours, &stock, &what);
        for (ours, stock) in [(moments.mean, mean), (moments.variance, variance)] {
            let ours = Tensor::from_vec(ours, channels, &Device::Cpu).unwrap();
            assert_close(&ours, &stock.flatten_all().unwrap(), &what);
        }
        let random = &mut random;
        check_gradients(&what, random, &[&x, &weight, &bias], |args| {
            Ok(ops::batch_norm_activation(&args[0], &args[1], &args[2], slope)?.0)
        });
    }
}

#[test]
fn filters() {
    for case in 0..CASES {
        let mut random = Random::new(3000 + case);
        let stride = random.pick(1..=3);
        let sides = [40, 40].map(|most| random.pick(11..=most));
        let mut taps = || {
            let count = random.pick(1..=11);
            random.tensor(&[count]).to_vec1::<f64>().unwrap()
        };
        let (vertical, horizontal) = (taps(), taps());
        let [batch, channels] = [random.pick(1..=3), random.pick(1..=3)];
        let what = format!(
            "{} by {} taps, stride {stride}, {sides:?}",
            vertical.len(),
            horizontal.len()
        );
        let x = random.var(&[batch, channels, sides[0], sides[1]]);
        let ours = ops::filter(&x, [&vertical, &horizontal], stride).unwrap();

        let column = Tensor::new(vertical.as_slice(), &Device::Cpu).unwrap();
        let row = Tensor::new(horizontal.as_slice(), &Device::Cpu).unwrap();
        let kernel = column
            .unsqueeze(1)
            .unwrap()
            .matmul(&row.unsqueeze(0).unwrap());
        let kernel = kernel.unwrap().unsqueeze(0).unwrap().unsqueeze(0).unwrap();
        let planes = x
            .reshape((batch * channels, 1, sides[0], sides[1]))
            .unwrap();
        let stock = planes.conv2d(&kernel, 0, stride, 1, 1).unwrap();
        assert_close(&ours, &stock.reshape(ours.dims()).unwrap(), &what);
        check_gradients(&what, &mut random, &[&x], |args| {
            ops::filter(&args[0], [&vertical, &horizontal], stride)
        });
    }
}

#[test]
fn a_large_mean_costs_no_digits() {
    let mut random = Random::new(1);
    let x = random.tensor(&[2, 3, 64, 64]).to_dtype(DType::F32).unwrap();
    let one = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
    let zero = one.zeros_like().unwrap();
    let variance = |x: &Tensor| {
        let (_, moments) = ops::batch_norm_activation(x, &one, &zero, 0.0).unwrap();
        moments.variance[0]
    };
    let (near, far) = (variance(&x), variance(&(&x + 1000.0).unwrap()));
    assert!((near - far).abs() < 1e-3 * near, "{near} {far}");
}

/// What each operator yields on some input, with all gradients, as bits.
fn everything() -> Vec<u32> {
    let mut random = Random::new(7);
    let mut var = |shape: &[usize]| {
        let tensor = random.tensor(shape).to_dtype(DType::F32).unwrap();
        Var::from_tensor(&tensor).unwrap()
    };
    let x = var(&[3, 5, 70, 50]);
    let down = var(&[20, 5, 9, 9]);
    let up = var(&[20, 7, 11, 11]);
    let last = var(&[3, 7, 3, 3]);
    let (weight, bias) = (var(&[20]), var(&[20]));
    let y = ops::conv2d(&x, &down, 2).unwrap();
    let (y, _) = ops::batch_norm_activation(&y, &weight, &bias, 0.0).unwrap();
    let y = ops::conv_transpose2d(&y, &up).unwrap();
    let y = ops::conv2d(&y, &last, 1).unwrap();
    let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let mut bits = Vec::new();
    let mut add = |t: &Tensor| {
        let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
        bits.extend(values.into_iter().map(f32::to_bits));
    };
    add(&y);
    for var in [&x, &down, &up, &last, &weight, &bias] {
        add(gradients.get(var).unwrap());
    }
    bits
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(everything)
    };
    let alone = with_threads(1);
    for threads in [2, 3, 8] {
        assert!(with_threads(threads) == alone, "{threads} threads");
    }
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let mut random = Random::new(0);
    let mut tensor = |shape: &[usize]| random.tensor(shape);
    let x = tensor(&[1, 2, 8, 8]);
    let refused = |result: Result<Tensor>, why: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(ops::conv2d(&x, &tensor(&[3, 1, 3, 3]), 1), "channels");
    refused(ops::conv2d(&x, &tensor(&[3, 2, 4, 4]), 1), "odd");
    refused(ops::conv2d(&x, &tensor(&[3, 2, 3, 5]), 1), "square");
    refused(ops::conv2d(&x, &tensor(&[3, 2, 3, 3]), 3), "stride 3");
    refused(
        ops::conv_transpose2d(&x, &tensor(&[1, 2, 3, 3])),
        "channels",
    );
    refused(ops::filter(&x, [&[1.0], &[1.0; 9]], 1), "does not fit");
    refused(ops::filter(&x, [&[], &[1.0]], 1), "does not fit");
    refused(ops::filter(&x, [&[1.0], &[1.0]], 0), "stride 0");
    let one = tensor(&[1]);
    let norm = ops::batch_norm_activation(&x, &one, &one, 0.0);
    refused(norm.map(|(y, _)| y), "2 channels");
    let scaled = ops::affine_activation(&x, &tensor(&[2]), &tensor(&[2]), 0.0).unwrap();
    let x = Var::from_tensor(&x).unwrap();
    let scaled_var = ops::affine_activation(&x, &tensor(&[2]), &tensor(&[2]), 0.0).unwrap();
    assert_eq!(scaled.dims(), scaled_var.dims());
    assert!(scaled_var.sum_all().unwrap().backward().is_err());
}
