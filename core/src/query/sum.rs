//! An exact sum of floating-point numbers: what was added can be taken away again, and the order does not matter.
//!
//! Kept as numbers that do not overlap, after J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic" (1997);
//! rounded once, to even, when somebody asks.

/// A sum.
#[derive(Debug, Default)]
pub(super) struct Sum(Vec<f64>);

impl Sum {
    /// Adds a number.
    pub(super) fn add(&mut self, mut x: f64) {
        let mut kept = 0;
        for at in 0..self.0.len() {
            let Some(part) = self.0.get(at).copied() else { break };
            let (large, small) = if x.abs() < part.abs() { (part, x) } else { (x, part) };
            x = large + small;
            let rest = small - (x - large);
            if rest != 0.0 {
                if let Some(slot) = self.0.get_mut(kept) {
                    *slot = rest;
                }
                kept += 1;
            }
        }
        self.0.truncate(kept);
        self.0.push(x);
    }

    /// The `f64` that is nearest. Not finite where a part of the way was over every number.
    pub(super) fn value(&self) -> f64 {
        let mut parts = self.0.iter().rev().copied();
        let mut high = parts.next().unwrap_or_default();
        let mut rest = 0.0;
        for part in parts.by_ref() {
            let sum = high + part;
            rest = part - (sum - high);
            high = sum;
            if rest != 0.0 {
                break;
            }
        }
        // Half-way: what comes below decides.
        if let Some(next) = parts.next()
            && (rest < 0.0) == (next < 0.0)
        {
            let twice = rest * 2.0;
            let up = high + twice;
            if up - high == twice {
                high = up;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sum_is_exact() {
        let mut sum = Sum::default();
        [1e100, 0.1, 1.0, 1e-300, -1e100, -1.0].into_iter().for_each(|x| sum.add(x));
        assert_eq!(sum.value(), 0.1);
        sum.add(-1e-300);
        sum.add(-0.1);
        assert_eq!(sum.value(), 0.0);
    }

    proptest! {
        #[test]
        fn what_was_added_can_be_taken_away(kept in numbers(), gone in numbers()) {
            let (mut both, mut one) = (Sum::default(), Sum::default());
            kept.iter().chain(&gone).for_each(|x| both.add(*x));
            gone.iter().for_each(|x| both.add(-x));
            kept.iter().rev().for_each(|x| one.add(*x));
            prop_assert_eq!(both.value(), one.value());
        }

        #[test]
        fn it_is_rounded_once(numbers in prop::collection::vec(-1_000_000_i64..1_000_000, 0..40), shift in 0..60_i32) {
            let unit = 2_f64.powi(-shift);
            let mut sum = Sum::default();
            numbers.iter().for_each(|n| sum.add(*n as f64 * unit));
            prop_assert_eq!(sum.value(), numbers.iter().sum::<i64>() as f64 * unit);
        }
    }

    fn numbers() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop_oneof![-1e3..1e3, -1e-9..1e-9, -1e18..1e18], 0..30)
    }
}
