//! A second name for a histogram: rendered at scrape time, so that a request is counted once.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, HistogramVec};
use std::collections::HashMap;

/// A histogram under a second name.
pub(super) struct Alias {
    of: HistogramVec,
    desc: Desc,
}

impl Alias {
    /// Gives `of` a second name.
    pub(super) fn new(name: &str, of: HistogramVec) -> Result<Self, Error> {
        let own = of.desc();
        let (help, labels) =
            own.first().map(|desc| (desc.help.clone(), desc.variable_labels.clone())).unwrap_or_default();
        Ok(Self { desc: Desc::new(name.to_owned(), help, labels, HashMap::new())?, of })
    }
}

impl Collector for Alias {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.of.collect();
        for family in &mut families {
            family.set_name(self.desc.fq_name.clone());
        }
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::HistogramOpts;

    #[test]
    fn alias_shows_the_same_numbers() {
        let histogram = HistogramVec::new(HistogramOpts::new("hauski_a_seconds", "A."), &["path"]).unwrap();
        let alias = Alias::new("a_seconds", histogram.clone()).unwrap();
        histogram.with_label_values(&["/x"]).observe(0.25);
        let [family] = &*alias.collect() else { panic!("one family") };
        assert_eq!((family.name(), family.help()), ("a_seconds", "A."));
        assert_eq!(family.get_metric(), histogram.collect()[0].get_metric());
        assert_eq!(family.get_metric()[0].get_histogram().get_sample_count(), 1);
    }
}
