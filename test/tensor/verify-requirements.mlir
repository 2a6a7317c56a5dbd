// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-verify-tensor)' --verify-diagnostics

// What some sizes in range fulfil is checked at each call.

func.func @short(%x: tensor<?xf32> {hr.dims = [#hr.size<"s0">], hr.name = "x"})
    attributes {hr.symbols = [#hr.symbol<"s0", 2, 16>],
                hr.requires = [#hr.requirement<"s0 - 4", "x.shape[0] >= 4", "">]} {
  return
}

// -----

// A slice from 4 on exists only where there are 4 elements.

// expected-error @+1 {{'never' needs x.shape[0] >= 4 (model.py:3), which no sizes in its ranges fulfil}}
func.func @never(%x: tensor<?xf32> {hr.dims = [#hr.size<"s0">], hr.name = "x"})
    attributes {hr.symbols = [#hr.symbol<"s0", 0, 3>],
                hr.requires = [#hr.requirement<"s0 - 4", "x.shape[0] >= 4", "model.py:3">]} {
  return
}
