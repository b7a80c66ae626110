//! Gives devices whose PCIe link is narrower than it could be away last: a bad slot, a worn riser or a loose card.
//!
//! The extra infos `current_link_width` and `max_link_width` are lanes, as `slotwise discover` reads them. A device that has
//! half of its lanes is given away after those that have all of them. One that does not say is taken to be whole. There is
//! nothing to configure.

use slotwise_policy::{Devices, Policy, Query, Scope};

/// Orders devices by the part of their lanes that they have.
pub struct NarrowLinksLast;

impl Policy for NarrowLinksLast {
    const SCOPE: Scope = Scope::PREFER.union(Scope::ATTRIBUTES);

    fn configure(configuration: &str) -> Result<Self, String> {
        match configuration.trim() {
            "" => Ok(NarrowLinksLast),
            _ => Err("there is nothing to configure".to_owned()),
        }
    }

    fn prefer(&self, _: &Query, devices: &Devices) -> Result<Vec<f64>, String> {
        Ok(devices
            .iter()
            .map(|device| {
                let lanes = |name| device.attribute(name)?.parse().ok().filter(|&lanes: &u32| lanes > 0);
                let part = |current, most| (f64::from(current) / f64::from(most)).min(1.0);
                lanes("current_link_width")
                    .zip(lanes("max_link_width"))
                    .map_or(1.0, |(now, most)| part(now, most))
            })
            .collect())
    }
}

slotwise_policy::export!(NarrowLinksLast);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_links_come_first() {
        let links = |current, most| [("current_link_width", current), ("max_link_width", most)];
        let devices = Devices::of(
            "node-1",
            [
                ("0000:01:00.0", links("8", "16")),
                ("0000:02:00.0", links("16", "16")),
                ("0000:03:00.0", links("4", "4")),
                ("0000:04:00.0", links("?", "0")),
            ],
        );
        let preferences = NarrowLinksLast.prefer(&Query::default(), &devices).expect("preferences");
        assert_eq!(preferences, [0.5, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_configuration_is_refused() {
        assert!(NarrowLinksLast::configure("\n").is_ok());
        assert_eq!(NarrowLinksLast::configure("x").err().as_deref(), Some("there is nothing to configure"));
    }
}
