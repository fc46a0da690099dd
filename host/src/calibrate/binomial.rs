//! What a sample alone says of a rate.

/// One minus the confidence of the bound.
const DOUBT: f64 = 0.05;

/// The exact one-sided 95 % upper bound (Clopper and Pearson 1934) of a rate of which `hits` were
/// seen in `trials`: the rate at which so few hits would have a chance of 5 %. In 0..=1; 1 where
/// nothing was tried.
pub fn upper_bound(hits: usize, trials: usize) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    // Halving 64 times uses up the digits of an f64.
    for _ in 0..64 {
        let middle = (low + high) / 2.0;
        if at_most(hits, trials, middle) > DOUBT {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// P(X <= hits) of X ~ Binomial(trials, rate), for 0 < rate < 1.
fn at_most(hits: usize, trials: usize, rate: f64) -> f64 {
    // In logarithms, because (1 - rate)^trials underflows where later terms do not.
    let mut ln_term = trials as f64 * (-rate).ln_1p();
    let ln_odds = rate.ln() - (-rate).ln_1p();
    let mut sum = ln_term.exp();
    for hit in 0..hits {
        ln_term += ((trials - hit) as f64 / (hit + 1) as f64).ln() + ln_odds;
        sum += ln_term.exp();
    }
    sum
}
