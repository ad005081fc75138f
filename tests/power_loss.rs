//! power_loss
