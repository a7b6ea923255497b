//! What must hold of every drawing of every chain.
