//! Numbers as text and back, exactly, in few bytes of code.
//!
//! The standard library and its peers read and write an `f64` by tables of powers, twenty kilobytes that do not
//! compress. Here almost every number takes a short way (integers, and decimals of up to 15 digits: Clinger's fast
//! path, "How to Read Floating Point Numbers Accurately", 1990); the rest is decided by its exact decimal digits.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

/// Up to here every whole number is an `f64`.
const EXACT: u64 = 1 << 53;
/// Powers of ten that are exact.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// More digits than any decision needs: the exact value between two neighbours has fewer than 770.
const DIGITS_MAX: usize = 800;

/// Digits and a power: `0.d1d2d3… × 10^point`. No leading and no trailing zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

/// Reads the text of a JSON number, rounded to the nearest `f64`, to even if two are as near. The text has the form
/// of one: the caller looked.
pub(super) fn parse(text: &str) -> f64 {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let magnitude = parse_short(text).unwrap_or_else(|| nearest(&Decimal::read(text)));
    if negative { -magnitude } else { magnitude }
}

/// Integers and decimals whose parts are exact: one division or multiplication rounds once.
fn parse_short(text: &str) -> Option<f64> {
    let (mut digits, mut scale, mut after_point) = (0_u64, 0_i32, false);
    for byte in text.bytes() {
        match byte {
            b'.' => after_point = true,
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                if digits > EXACT {
                    return None;
                }
                scale -= i32::from(after_point);
            }
            _ => return None,
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
    TENS.get(scale.unsigned_abs() as usize).map(|power| digits as f64 / power)
}

impl Decimal {
    fn read(text: &str) -> Self {
        let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        // A power of more digits is zero or too large whatever it says.
        let power = power.strip_prefix('+').unwrap_or(power);
        let far = if power.starts_with('-') { -100_000 } else { 100_000 };
        let power = power.parse::<i32>().unwrap_or(far).clamp(-100_000, 100_000);
        let point = i32::try_from(whole.len()).unwrap_or(100_000).saturating_add(power);
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
        Self { digits: digits.collect(), point }.trimmed()
    }

    /// The exact value of `mantissa × 2^power`.
    fn exact(mantissa: u64, power: i32) -> Self {
        // Little end first, nine digits each.
        let mut limbs = Vec::new();
        let mut rest = mantissa;
        while rest > 0 {
            limbs.push((rest % BASE) as u32);
            rest /= BASE;
        }
        // A fraction's digits are those of the integer that ten to its power makes of it.
        let by = if power < 0 { 5 } else { 2 };
        let mut left = power.unsigned_abs();
        while left > 0 {
            let step = left.min(12);
            multiply(&mut limbs, u64::pow(by, step));
            left -= step;
        }
        let mut digits = Vec::new();
        for limb in limbs.iter().rev() {
            digits.extend((0..9).rev().map(|at| u8::try_from(limb / u32::pow(10, at) % 10).unwrap_or_default()));
        }
        let point = i32::try_from(digits.len()).unwrap_or(i32::MAX) + power.min(0);
        Self { digits, point }.trimmed()
    }

    fn of(bits: u64) -> Self {
        let (mantissa, power) = parts(bits);
        Self::exact(mantissa, power)
    }

    fn trimmed(mut self) -> Self {
        let zeros = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..zeros);
        self.point -= i32::try_from(zeros).unwrap_or(i32::MAX);
        // What is cut off is kept as "a little more".
        if self.digits.len() > DIGITS_MAX {
            self.digits.truncate(DIGITS_MAX);
            self.digits.push(1);
        }
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        self
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (false, false) => self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits)),
            (mine, theirs) => theirs.cmp(&mine),
        }
    }

    /// The middle between a number and the next larger one.
    fn half_way(bits: u64) -> Self {
        let (mantissa, power) = parts(bits);
        Self::exact(mantissa * 2 + 1, power - 1)
    }

    /// Some number near this one.
    fn guess(&self) -> f64 {
        let taken = self.digits.len().min(17);
        let digits = self.digits.iter().take(taken).fold(0.0, |number, digit| number * 10.0 + f64::from(*digit));
        let scale = self.point - i32::try_from(taken).unwrap_or_default();
        let (mut guess, mut left) = (digits, scale.unsigned_abs() as usize);
        while left > 0 {
            let step = left.min(TENS.len() - 1);
            let power = TENS.get(step).copied().unwrap_or(1.0);
            guess = if scale < 0 { guess / power } else { guess * power };
            left -= step;
        }
        guess
    }

    /// Whether what stands behind so many digits is more than a half.
    fn rounds_up(&self, count: usize) -> bool {
        let rest = self.digits.get(count..).unwrap_or_default();
        rest.first().is_some_and(|digit| *digit >= 5) && rest != [5]
            || rest == [5] && count > 0 && self.digits.get(count - 1).is_some_and(|digit| digit % 2 == 1)
    }

    /// At most `count` digits, rounded down, or up by one in the last of them.
    fn cut(&self, count: usize, up: bool) -> Self {
        let mut digits: Vec<u8> = self.digits.iter().copied().chain(std::iter::repeat(0)).take(count).collect();
        let mut point = self.point;
        if up {
            while digits.last() == Some(&9) {
                digits.pop();
            }
            match digits.last_mut() {
                Some(last) => *last += 1,
                None => {
                    digits.push(1);
                    point += 1;
                }
            }
        }
        Self { digits, point }.trimmed()
    }
}

const BASE: u64 = 1_000_000_000;

fn multiply(limbs: &mut Vec<u32>, by: u64) {
    let mut carry = 0;
    for limb in limbs.iter_mut() {
        let product = u64::from(*limb) * by + carry;
        *limb = u32::try_from(product % BASE).unwrap_or_default();
        carry = product / BASE;
    }
    if carry > 0 {
        limbs.push(u32::try_from(carry).unwrap_or_default());
    }
}

/// A number's mantissa and its power of two.
fn parts(bits: u64) -> (u64, i32) {
    let exponent = i32::try_from(bits >> 52).unwrap_or_default();
    let fraction = bits & (EXACT / 2 - 1);
    if exponent == 0 { (fraction, -1074) } else { (fraction | (EXACT / 2), exponent - 1075) }
}

/// The `f64` nearest to a decimal; infinity beyond the largest.
fn nearest(decimal: &Decimal) -> f64 {
    const INFINITE: u64 = f64::INFINITY.to_bits();
    if decimal.digits.is_empty() || decimal.point < -400 {
        return 0.0;
    }
    if decimal.point > 400 {
        return f64::INFINITY;
    }
    // Numbers from 0 up are ordered as their bits are: wanted is the first whose upper half-way point is not below.
    let is_below = |bits: u64| match Decimal::half_way(bits).compare(decimal) {
        Ordering::Less => true,
        Ordering::Equal => bits % 2 == 1,
        Ordering::Greater => false,
    };
    let guess = decimal.guess().to_bits();
    let (mut low, mut high) = (guess.saturating_sub(8), (guess + 8).min(INFINITE));
    if low > 0 && !is_below(low - 1) {
        low = 0;
    }
    if high < INFINITE && is_below(high) {
        high = INFINITE;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if is_below(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    f64::from_bits(low)
}

/// `Number::toString` of ECMAScript: the shortest digits that read back the same, the nearest of them; an exponent
/// from 1e21 and below 1e-6. `null` for what JSON has no number for.
pub(super) fn write(number: f64, out: &mut String) {
    if !number.is_finite() {
        return out.push_str("null");
    }
    if number < 0.0 {
        out.push('-');
    }
    let magnitude = number.abs();
    if magnitude.trunc() == magnitude && magnitude < 1e15 {
        return write_whole(whole(magnitude), out);
    }
    let Decimal { digits, point } = shortest(magnitude);
    let digits: Vec<char> = digits.into_iter().map(|digit| char::from(b'0' + digit)).collect();
    let far = !(-5..=21).contains(&point);
    // Where the point stands among the digits; zeros fill up on both sides.
    let at = usize::try_from(if far { 1 } else { point }).unwrap_or_default();
    if at == 0 {
        out.push('0');
    }
    out.extend(digits.iter().take(at));
    out.extend(std::iter::repeat_n('0', at.saturating_sub(digits.len())));
    if digits.len() > at {
        out.push('.');
        out.extend((point..0).filter(|_| !far).map(|_| '0'));
        out.extend(digits.get(at..).unwrap_or_default());
    }
    if far {
        out.push_str(if point < 1 { "e-" } else { "e+" });
        write_whole(u64::from((point - 1).unsigned_abs()), out);
    }
}

/// A whole number's digits.
pub(super) fn write_whole(number: u64, out: &mut String) {
    if number >= 10 {
        write_whole(number / 10, out);
    }
    out.push(char::from(b'0' + u8::try_from(number % 10).unwrap_or_default()));
}

/// The shortest digits that read back the same, and of these the nearest.
fn shortest(number: f64) -> Decimal {
    if let Some(short) = shortest_exact(number) {
        return short;
    }
    let bits = number.to_bits();
    let exact = Decimal::of(bits);
    let (lower, upper) = (Decimal::half_way(bits - 1), Decimal::half_way(bits));
    let reads_back = |decimal: &Decimal| match (decimal.compare(&lower), decimal.compare(&upper)) {
        (Ordering::Greater, Ordering::Less) => true,
        // A middle is read as its even neighbour.
        (Ordering::Equal, _) | (_, Ordering::Equal) => bits.is_multiple_of(2),
        _ => false,
    };
    for count in 1..17 {
        let (down, up) = (exact.cut(count, false), exact.cut(count, true));
        match (reads_back(&down), reads_back(&up)) {
            (true, true) => return if exact.rounds_up(count) { up } else { down },
            (true, false) => return down,
            (false, true) => return up,
            (false, false) => {}
        }
    }
    exact.cut(17, exact.rounds_up(17))
}

/// Decimals of up to 15 digits: no two of them are the same number.
fn shortest_exact(number: f64) -> Option<Decimal> {
    for (scale, power) in (0_i32..).zip(TENS) {
        let scaled = (number * power).round();
        if scaled >= 1e15 {
            break;
        }
        if scaled / power == number && scaled > 0.0 {
            let mut decimal = Decimal::exact(whole(scaled), 0);
            decimal.point -= scale;
            return Some(decimal);
        }
    }
    None
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and at most 2^53")]
fn whole(number: f64) -> u64 {
    number as u64
}
