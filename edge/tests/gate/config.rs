//! Gates that cannot be are refused by name.

use residua_edge::gate::{ConfigError, GateConfig};

#[test]
fn impossible_lengths_are_refused() {
    let pulse = 10;
    assert_eq!(GateConfig::new(0, pulse), Err(ConfigError::Distance));
    assert_eq!(GateConfig::new(100, 0), Err(ConfigError::Pulse));
    let config = GateConfig::new(100, pulse).unwrap();
    let (min_pulse, slack) = (11, 10);
    let error = config.with_min_pulse(min_pulse).unwrap_err();
    assert_eq!(error, ConfigError::MinPulse { min_pulse, pulse });
    assert!(error.to_string().starts_with("min_pulse is 11"));
    let error = config.with_slack(slack).unwrap_err();
    assert_eq!(error, ConfigError::Slack { slack, pulse });
    assert!(error.to_string().starts_with("slack is 10"));
    assert!(config.with_min_pulse(10).is_ok() && config.with_slack(9).is_ok());
}
