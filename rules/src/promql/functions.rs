//! Every function with its signature, one table.
//!
//! Source: Prometheus's documentation, "Query functions". What stands there as experimental is taken only where it is enabled.

use super::ast::Function;
use super::ast::ValueType::{self, Matrix, Scalar, String, Vector};

const fn function(name: &'static str, args: &'static [ValueType], gives: ValueType) -> Function {
    Function { name, args, optional: 0, variadic: false, gives, experimental: false }
}

/// With a last argument that may be left out.
const fn optional(name: &'static str, args: &'static [ValueType], gives: ValueType) -> Function {
    Function { optional: 1, ..function(name, args, gives) }
}

/// With a last argument that may be left out or repeated.
const fn variadic(name: &'static str, args: &'static [ValueType], gives: ValueType) -> Function {
    Function { optional: 1, variadic: true, ..function(name, args, gives) }
}

/// Taken only where it is enabled.
const fn experimental(function: Function) -> Function {
    Function { experimental: true, ..function }
}

/// Sorted by name.
static TABLE: &[Function] = &[
    function("abs", &[Vector], Vector),
    function("absent", &[Vector], Vector),
    function("absent_over_time", &[Matrix], Vector),
    function("acos", &[Vector], Vector),
    function("acosh", &[Vector], Vector),
    function("asin", &[Vector], Vector),
    function("asinh", &[Vector], Vector),
    function("atan", &[Vector], Vector),
    function("atanh", &[Vector], Vector),
    function("avg_over_time", &[Matrix], Vector),
    function("ceil", &[Vector], Vector),
    function("changes", &[Matrix], Vector),
    function("clamp", &[Vector, Scalar, Scalar], Vector),
    function("clamp_max", &[Vector, Scalar], Vector),
    function("clamp_min", &[Vector, Scalar], Vector),
    function("cos", &[Vector], Vector),
    function("cosh", &[Vector], Vector),
    function("count_over_time", &[Matrix], Vector),
    optional("day_of_month", &[Vector], Vector),
    optional("day_of_week", &[Vector], Vector),
    optional("day_of_year", &[Vector], Vector),
    optional("days_in_month", &[Vector], Vector),
    function("deg", &[Vector], Vector),
    function("delta", &[Matrix], Vector),
    function("deriv", &[Matrix], Vector),
    experimental(function("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector)),
    experimental(function("end", &[], Scalar)),
    function("exp", &[Vector], Vector),
    function("first_over_time", &[Matrix], Vector),
    function("floor", &[Vector], Vector),
    function("histogram_avg", &[Vector], Vector),
    function("histogram_count", &[Vector], Vector),
    function("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    function("histogram_quantile", &[Scalar, Vector], Vector),
    experimental(Function { optional: 0, ..variadic("histogram_quantiles", &[Vector, String, Scalar], Vector) }),
    function("histogram_stddev", &[Vector], Vector),
    function("histogram_stdvar", &[Vector], Vector),
    function("histogram_sum", &[Vector], Vector),
    optional("hour", &[Vector], Vector),
    function("idelta", &[Matrix], Vector),
    function("increase", &[Matrix], Vector),
    experimental(optional("info", &[Vector, Vector], Vector)),
    function("irate", &[Matrix], Vector),
    variadic("label_join", &[Vector, String, String, String], Vector),
    function("label_replace", &[Vector, String, String, String, String], Vector),
    function("last_over_time", &[Matrix], Vector),
    function("ln", &[Vector], Vector),
    function("log10", &[Vector], Vector),
    function("log2", &[Vector], Vector),
    experimental(function("mad_over_time", &[Matrix], Vector)),
    function("max_over_time", &[Matrix], Vector),
    function("min_over_time", &[Matrix], Vector),
    optional("minute", &[Vector], Vector),
    optional("month", &[Vector], Vector),
    function("pi", &[], Scalar),
    function("predict_linear", &[Matrix, Scalar], Vector),
    function("present_over_time", &[Matrix], Vector),
    function("quantile_over_time", &[Scalar, Matrix], Vector),
    function("rad", &[Vector], Vector),
    experimental(function("range", &[], Scalar)),
    function("rate", &[Matrix], Vector),
    function("resets", &[Matrix], Vector),
    optional("round", &[Vector, Scalar], Vector),
    function("scalar", &[Vector], Scalar),
    function("sgn", &[Vector], Vector),
    function("sin", &[Vector], Vector),
    function("sinh", &[Vector], Vector),
    function("sort", &[Vector], Vector),
    experimental(variadic("sort_by_label", &[Vector, String], Vector)),
    experimental(variadic("sort_by_label_desc", &[Vector, String], Vector)),
    function("sort_desc", &[Vector], Vector),
    function("sqrt", &[Vector], Vector),
    experimental(function("start", &[], Scalar)),
    function("stddev_over_time", &[Matrix], Vector),
    function("stdvar_over_time", &[Matrix], Vector),
    experimental(function("step", &[], Scalar)),
    function("sum_over_time", &[Matrix], Vector),
    function("tan", &[Vector], Vector),
    function("tanh", &[Vector], Vector),
    function("time", &[], Scalar),
    function("timestamp", &[Vector], Vector),
    experimental(function("ts_of_first_over_time", &[Matrix], Vector)),
    experimental(function("ts_of_last_over_time", &[Matrix], Vector)),
    experimental(function("ts_of_max_over_time", &[Matrix], Vector)),
    experimental(function("ts_of_min_over_time", &[Matrix], Vector)),
    function("vector", &[Scalar], Vector),
    optional("year", &[Vector], Vector),
];

/// Gone from Prometheus 3, each with what took its place.
const REFUSED: &[(&str, &str)] = &[(
    "holt_winters",
    "was taken out of Prometheus 3; double_exponential_smoothing() is its new name, with promql-experimental-functions",
)];

/// The function of this name; names are in lower case.
pub fn function_named(name: &str) -> Option<&'static Function> {
    let place = TABLE.binary_search_by(|function| function.name.cmp(name)).ok()?;
    TABLE.get(place)
}

/// All functions, by name.
pub fn functions() -> &'static [Function] {
    TABLE
}

/// Why a name that Prometheus knows is not taken: the rest of a sentence that begins with the name.
pub(super) fn refused(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
}

impl Function {
    /// How few and how many arguments it takes.
    pub fn count(&self) -> (usize, Option<usize>) {
        let most = if self.variadic { None } else { Some(self.args.len()) };
        (self.args.len() - self.optional, most)
    }

    /// The type of argument `place`; a repeated one has the last's.
    pub fn arg(&self, place: usize) -> Option<ValueType> {
        self.args.get(place).or(if self.variadic { self.args.last() } else { None }).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_function_is_found() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
        for function in TABLE {
            assert_eq!(function_named(function.name), Some(function));
            assert!(refused(function.name).is_none(), "{} is taken and refused", function.name);
        }
        assert_eq!(function_named("RATE"), None);
    }
}
