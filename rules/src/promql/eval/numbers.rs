//! Floats as Go's `math` and `strconv` treat them, where Rust differs.

/// Go's `math.Max`: NaN wins unless the other is +Inf, and 0 is larger than -0.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        return f64::INFINITY;
    }
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    if a == 0.0 && b == 0.0 {
        return if a.is_sign_negative() { b } else { a };
    }
    a.max(b)
}

/// Go's `math.Min`: NaN wins unless the other is -Inf, and -0 is smaller than 0.
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}

/// `strconv.FormatFloat(value, 'f', -1, 64)`: the shortest digits, never an exponent.
pub(super) fn written(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_and_written_as_in_go() {
        assert_eq!(larger(1.0, 2.0), 2.0);
        assert!(larger(1.0, f64::NAN).is_nan());
        assert_eq!(larger(f64::INFINITY, f64::NAN), f64::INFINITY);
        assert!(larger(-0.0, 0.0).is_sign_positive() && larger(0.0, -0.0).is_sign_positive());
        assert_eq!(smaller(1.0, 2.0), 1.0);
        assert!(smaller(f64::NAN, 1.0).is_nan());
        assert_eq!(smaller(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
        assert!(smaller(0.0, -0.0).is_sign_negative());
        let table = [
            (1e6, "1000000"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e-7, "0.0000001"),
            (1e21, "1000000000000000000000"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in table {
            assert_eq!(written(value), expected);
        }
    }
}
