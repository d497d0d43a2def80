//! The meaning of policies, as the README of cordon-policy defines it, read back from the tables.

#[path = "../common/mod.rs"]
mod common;
mod contents;
mod ends;
mod rules;

use common::Tables;

/// Zones with segments, zones with networks, and the rest of the world.
const SITE: &str = "
segments:
  imaging:  {attach: [access0.210, core0.210], subnets: [10.21.0.0/24, '2001:db8:21::/64'], isolate: true}
  monitors: {attach: [access0.220, core0.220], subnets: [10.22.0.0/24], isolate: true}
  stations: {attach: [access0.230, core0.230], subnets: [10.23.0.0/24]}
  guest:    {attach: [access0, core0.299], subnets: [10.29.0.0/24], isolate: true, unknown: admit}
zones:
  clinical: {segments: [imaging, monitors]}
  wards: {segments: [stations]}
  data-centre: {networks: [10.200.0.0/16, '2001:db8:200::/48']}
  annex: {networks: [10.24.0.0/16], local: true}
  world: {networks: [0.0.0.0/0, '::/0']}
";
const DEVICES: &str = "\
ct-1,02:00:5e:21:00:11,10.21.0.11 2001:db8:21::11,imaging,ct
ct-2,02:00:5e:21:00:12,10.21.0.12,imaging,ct
us-1,02:00:5e:21:00:21,,imaging,ultrasound
monitor-1,02:00:5e:22:00:11,10.22.0.11,monitors,monitor
station-1,02:00:5e:23:00:11,10.23.0.11,stations,workstation
";

fn tables(rules: &str) -> Tables {
    Tables::of(SITE, rules, DEVICES)
}
