//! Metric families, written with the encoder of `prometheus-client`.
//!
//! Its registry would add a period to every help text, and its histograms lock, so families are written by name from
//! [`crate::telemetry`]'s counters.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::telemetry::{Counter, Histogram};

const NANOSECONDS: f64 = 1e9;

/// Writer of families, each with its help, type and samples.
pub(crate) struct Families<'e>(DescriptorEncoder<'e>);

/// Number of milliseconds in a second.
pub(crate) const MILLISECONDS: f64 = 1e3;

impl<'e> Families<'e> {
    pub(crate) fn new(encoder: DescriptorEncoder<'e>) -> Self {
        Self(encoder)
    }

    /// Writes a family of one sample. The encoder appends `_total` to the name of a counter.
    pub(crate) fn metric<M>(&mut self, name: &str, help: &str, metric: M) -> fmt::Result
    where
        M: EncodeMetric + TypedMetric,
    {
        self.optional(name, help, Some(metric))
    }

    /// Writes a family whose only sample may be absent.
    pub(crate) fn optional<M>(&mut self, name: &str, help: &str, metric: Option<M>) -> fmt::Result
    where
        M: EncodeMetric + TypedMetric,
    {
        let encoder = self.0.encode_descriptor(name, help, None, M::TYPE)?;
        metric.map_or(Ok(()), |metric| metric.encode(encoder))
    }

    /// Writes a family of samples with labels.
    pub(crate) fn family<L, M>(
        &mut self,
        name: &str,
        help: &str,
        metrics: impl IntoIterator<Item = (L, M)>,
    ) -> fmt::Result
    where
        L: EncodeLabelSet,
        M: EncodeMetric + TypedMetric,
    {
        let mut encoder = self.0.encode_descriptor(name, help, None, M::TYPE)?;
        for (labels, metric) in metrics {
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Writes a family of samples that differ in one label.
    pub(crate) fn by<M>(
        &mut self,
        label: &'static str,
        name: &str,
        help: &str,
        metrics: impl IntoIterator<Item = (&'static str, M)>,
    ) -> fmt::Result
    where
        M: EncodeMetric + TypedMetric,
    {
        let metrics = metrics.into_iter();
        self.family(
            name,
            help,
            metrics.map(|(value, metric)| ([(label, value)], metric)),
        )
    }
}

/// Current value of a counter.
pub(crate) fn count(counter: &Counter) -> ConstCounter {
    ConstCounter::new(counter.get())
}

/// Current state of a histogram, in the metric's unit.
#[derive(Debug)]
pub(crate) struct ConstHistogram {
    sum: f64,
    count: u64,
    buckets: Vec<(f64, u64)>,
}

impl ConstHistogram {
    /// Reads a histogram whose unit is that of the metric.
    pub(crate) fn of(histogram: &Histogram) -> Self {
        Self::scaled(histogram, 1.0)
    }

    /// Reads a histogram of nanoseconds; the metric's unit is seconds.
    pub(crate) fn seconds(histogram: &Histogram) -> Self {
        Self::scaled(histogram, NANOSECONDS)
    }

    fn scaled(histogram: &Histogram, scale: f64) -> Self {
        let snapshot = histogram.snapshot();
        // the encoder writes infinity as +Inf, which quantiles need
        let bound = |bound: Option<u64>| bound.map_or(f64::INFINITY, |bound| bound as f64 / scale);
        let buckets = snapshot.counts.iter();
        Self {
            sum: snapshot.sum as f64 / scale,
            count: snapshot.count(),
            buckets: buckets
                .map(|(limit, count)| (bound(*limit), *count))
                .collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl TypedMetric for ConstHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for ConstHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_histogram::<NoLabelSet>(self.sum, self.count, &self.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
