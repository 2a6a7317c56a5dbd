// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-verify-tensor)' --verify-diagnostics

// A slice from s0 - 4 on exists only where s0 is large enough.

// expected-error @+1 {{'short' needs 's0 - 4' to be at least 0, which the ranges of its dynamic sizes do not ensure}}
func.func @short(%x: tensor<?xf32> {hr.dims = [#hr.size<"s0">], hr.name = "x"})
    attributes {hr.symbols = [#hr.symbol<"s0", 2, 16>], hr.requires = [#hr.size<"s0 - 4">]} {
  return
}

// -----

func.func @long(%x: tensor<?xf32> {hr.dims = [#hr.size<"s0">], hr.name = "x"})
    attributes {hr.symbols = [#hr.symbol<"s0", 4, 16>], hr.requires = [#hr.size<"s0 - 4">]} {
  return
}
