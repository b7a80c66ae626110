//! Avoids hot racks, and among the others prefers the cooler ones with more free devices.
//!
//! The host's attribute `inlet_celsius` is the temperature at its air inlet. The configuration is a line of settings:
//! `refuse_over=32 prefer_below=27`. Hosts over the first are refused; those over the second score lower, a point for
//! each degree. A host that does not say is neither refused nor preferred.

use slotwise_policy::{Host, Hosts, Policy, Query, Scope, Verdicts};

/// The two temperatures, in degrees Celsius.
pub struct AvoidHotRacks {
    refuse_over: f64,
    prefer_below: f64,
}

/// What a free device weighs against a degree.
const POINTS_PER_DEVICE: f64 = 0.01;

impl Policy for AvoidHotRacks {
    const SCOPE: Scope = Scope::FILTER.union(Scope::SCORE).union(Scope::ATTRIBUTES).union(Scope::SCORE_POOLS);

    fn configure(configuration: &str) -> Result<Self, String> {
        let mut policy = AvoidHotRacks { refuse_over: 35.0, prefer_below: 27.0 };
        for setting in configuration.split_whitespace() {
            let (name, value) =
                setting.split_once('=').ok_or_else(|| format!("{setting}: write NAME=DEGREES"))?;
            let degrees: f64 = value.parse().map_err(|_| format!("{name}: {value} is no number"))?;
            if !degrees.is_finite() {
                return Err(format!("{name}: {value} is no temperature"));
            }
            match name {
                "refuse_over" => policy.refuse_over = degrees,
                "prefer_below" => policy.prefer_below = degrees,
                _ => {
                    return Err(format!(
                        "there is no setting {name}; there are refuse_over and prefer_below"
                    ));
                }
            }
        }
        Ok(policy)
    }

    fn filter(&self, _: &Query, hosts: &Hosts) -> Result<Verdicts, String> {
        Ok(hosts.judge_by_attributes(|host| {
            let celsius = inlet(host).filter(|&celsius| celsius > self.refuse_over)?;
            Some(format!("the air inlet has {celsius} °C, over {} °C", self.refuse_over))
        }))
    }

    fn score(&self, _: &Query, hosts: &Hosts) -> Result<Vec<f64>, String> {
        let heat =
            hosts.score_by_attributes(|host| inlet(host).map_or(0.0, |c| (c - self.prefer_below).max(0.0)));
        let free = hosts.iter().map(|host| host.pools().map(|pool| f64::from(pool.free())).sum::<f64>());
        Ok(heat.into_iter().zip(free).map(|(heat, free)| free * POINTS_PER_DEVICE - heat).collect())
    }
}

fn inlet(host: Host<'_>) -> Option<f64> {
    host.attribute("inlet_celsius")?.parse().ok().filter(|celsius: &f64| celsius.is_finite())
}

slotwise_policy::export!(AvoidHotRacks);

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        let mut hosts = Hosts::of([("cool", [("inlet_celsius", "22.5")])]);
        hosts.push_pool([("product_id", "101e")], Some(0), 4);
        hosts.push_pool([("product_id", "1018")], None, 1);
        hosts.push("warm", [("inlet_celsius", "29")]);
        hosts.push("hot", [("inlet_celsius", "33")]);
        hosts.push("silent", [("inlet_celsius", "-")]);
        hosts
    }

    #[test]
    fn the_hot_are_refused_and_the_warm_score_lower() {
        let policy = AvoidHotRacks::configure("refuse_over=32 prefer_below=27").expect("settings");
        let verdicts = policy.filter(&Query::default(), &hosts()).expect("verdicts");
        let reasons: Vec<_> = (0..4).map(|host| verdicts.reason(host)).collect();
        assert_eq!(reasons, [None, None, Some("the air inlet has 33 °C, over 32 °C"), None]);
        let scores = policy.score(&Query::default(), &hosts()).expect("scores");
        assert_eq!(scores, [0.05, -2.0, -6.0, 0.0]);
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (text, expected) in [
            ("hot", "hot: write NAME=DEGREES"),
            ("refuse_over=warm", "refuse_over: warm is no number"),
            ("refuse_over=NaN", "refuse_over: NaN is no temperature"),
            ("limit=3", "there is no setting limit; there are refuse_over and prefer_below"),
        ] {
            assert_eq!(AvoidHotRacks::configure(text).err().as_deref(), Some(expected));
        }
    }
}
