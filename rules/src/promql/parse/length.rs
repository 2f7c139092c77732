//! Durations: `5m`, `300`, and with `promql-duration-expr` arithmetic of them, which is done here. What a range is asked
//! for, `step()` and `range()`, is known by then.

use super::{Parsed, Parser, SyntaxFault, words};
use crate::duration;
use crate::promql::ast::Span;
use crate::promql::features::DURATIONS;
use crate::selector::Token;

/// What may be called where a duration is expected; the short names are those of Prometheus before 3.8.
const CALLS: [&str; 6] = ["step", "range", "min", "max", "min_of", "max_of"];

/// How strongly the sign binds: as `*` does.
const SIGN: u8 = 5;

impl Parser<'_> {
    /// Milliseconds between brackets: a duration or arithmetic, more than 0.
    pub(super) fn positive(&mut self, wanted: &str) -> Parsed<i64> {
        let from = self.here().from;
        let seconds = self.sum(0, wanted)?;
        let span = Span { from, to: self.last.to };
        let ms = milliseconds(seconds, span)?;
        if ms <= 0 {
            self.faults.push(SyntaxFault::new(span, "a duration longer than 0 is expected here"));
        }
        Ok(ms)
    }

    /// Milliseconds after `offset`, where arithmetic stands in parentheses.
    pub(super) fn offset(&mut self) -> Parsed<i64> {
        let from = self.here().from;
        let is_negative = self.signed();
        let seconds = self.part("a duration after 'offset'")?;
        let span = Span { from, to: self.last.to };
        milliseconds(if is_negative { -seconds } else { seconds }, span)
    }

    /// Takes a sign if one is here; whether it is a minus.
    pub(super) fn signed(&mut self) -> bool {
        let is_negative = self.take_sign("-");
        if !is_negative {
            self.take_sign("+");
        }
        is_negative
    }

    /// Parts and the operators between them that bind at least as strongly as `least`, in seconds.
    fn sum(&mut self, least: u8, wanted: &str) -> Parsed<f64> {
        self.depth += 1;
        self.bounded(self.depth)?;
        let mut left = match *self.token() {
            Token::Sign("-" | "+") => {
                let is_negative = self.signed();
                let value = self.sum(SIGN + 1, wanted)?;
                if is_negative { -value } else { value }
            }
            _ => self.part(wanted)?,
        };
        while let Token::Sign(sign @ ("+" | "-" | "*" | "/" | "%" | "^")) = *self.token() {
            let (_, power) = words::operator(sign).expect("these are operators");
            if power < least {
                break;
            }
            self.check_arithmetic()?;
            let span = self.take();
            let right = self.sum(if power == words::POWER { power } else { power + 1 }, wanted)?;
            left = match sign {
                "/" | "%" if right == 0.0 => return Err(SyntaxFault::new(span, "a duration is divided by 0 here")),
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                "/" => left / right,
                "%" => left % right,
                _ => left.powf(right),
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// A duration, a number of seconds, a call or parentheses, in seconds.
    fn part(&mut self, wanted: &str) -> Parsed<f64> {
        let span = self.here();
        let seconds = match self.token().clone() {
            Token::Number(seconds) => seconds,
            Token::NoNumber(written) => {
                let ms = duration::parse(&written).map_err(|message| SyntaxFault::new(span, message))?;
                ms as f64 / 1000.0
            }
            Token::Sign("(") => {
                self.check_arithmetic()?;
                self.take();
                let seconds = self.sum(0, wanted)?;
                self.close(")", span)?;
                return Ok(seconds);
            }
            Token::Name(word) if CALLS.contains(&word.as_str()) && self.is_called() => {
                self.check_arithmetic()?;
                return self.length_call(&word, wanted);
            }
            _ => return Err(self.unexpected(wanted)),
        };
        self.take();
        Ok(seconds)
    }

    fn length_call(&mut self, word: &str, wanted: &str) -> Parsed<f64> {
        self.take();
        let open = self.take();
        let value = match word {
            "step" => self.asked.step as f64 / 1000.0,
            "range" => self.asked.range as f64 / 1000.0,
            _ => {
                let one = self.sum(0, wanted)?;
                self.open(",", "',' and a second duration")?;
                let other = self.sum(0, wanted)?;
                if word.starts_with("min") { one.min(other) } else { one.max(other) }
            }
        };
        self.close(")", open)?;
        Ok(value)
    }

    fn check_arithmetic(&self) -> Parsed<()> {
        if self.features.durations {
            return Ok(());
        }
        let message =
            format!("arithmetic with durations is experimental in Prometheus; --enable-feature={DURATIONS} takes it");
        Err(SyntaxFault::new(self.here(), message))
    }
}

fn milliseconds(seconds: f64, span: Span) -> Parsed<i64> {
    let ms = (seconds * 1000.0).round();
    if ms.is_nan() || ms.abs() > duration::MS_MAX as f64 {
        return Err(SyntaxFault::new(span, "this is too long for a duration; 292 years are the most"));
    }
    Ok(ms as i64)
}

/// A duration where a number is expected is its seconds.
pub(super) fn seconds(written: &str, span: Span) -> Parsed<f64> {
    match duration::parse(written) {
        Ok(ms) => Ok(ms as f64 / 1000.0),
        Err(_) => Err(SyntaxFault::new(span, format!("'{written}' is neither a number nor a duration"))),
    }
}
