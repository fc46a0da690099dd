// NOTE from the integrator to the owner of branch h2 (13:40): to save time the integrator writes
// host/src/train/** and host/src/commands/train.rs. Do net/ only: config, ops, autoencoder (with
// forward(&x, train), parameters() -> Vec<(String, Var)>, running statistics as named buffers,
// save/load safetensors, fold, activations), their tests and the torch fixture. Commit
// net/autoencoder.rs as early as you can (even on a slow but correct op), then speed.
// Add edge-small as: encoder (channels,kernel,stride) (8,5,2)(16,5,2)(16,3,2)(24,3,2), decoder
// (16,3)(16,5)(8,5)(8,5), 1x1 out; and edge-tiny: (4,5,2)(8,5,2)(12,3,2)(16,3,2), (12,3)(8,5)(8,5)(4,5).
