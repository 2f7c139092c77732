//! Remote write 1.0 as a Prometheus sends it: <https://prometheus.io/docs/specs/prw/remote_write_spec/>.

use anyhow::{Context, Result, ensure};
use prost::Message;

/// Series of a request; Prometheus's `max_samples_per_send`.
pub const BATCH: usize = 2_000;

#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

impl WriteRequest {
    /// As it is sent.
    ///
    /// # Errors
    /// It is too large for snappy.
    pub fn packed(&self) -> Result<Vec<u8>> {
        snap::raw::Encoder::new().compress_vec(&self.encode_to_vec()).context("pack a request")
    }
}

/// Sends one packed request and waits until it is taken.
///
/// # Errors
/// It was not taken; with what was answered.
pub async fn send(client: &reqwest::Client, url: &str, token: &str, body: Vec<u8>) -> Result<()> {
    let request = client.post(url).bearer_auth(token).body(body);
    let request = request.header("content-type", "application/x-protobuf").header("content-encoding", "snappy");
    let answer = request.header("x-prometheus-remote-write-version", "0.1.0").send().await?;
    let (status, said) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{status}: {said}");
    Ok(())
}
