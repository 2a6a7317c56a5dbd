// RUN: headrace-opt %s --hr-simplify --split-input-file | FileCheck %s
// RUN: headrace-opt %s --split-input-file --hr-evaluate-entries="compare=hr-simplify" -o /dev/null

// `arange >= 0` is true everywhere, whatever the size; `and` with it is a copy.

// CHECK-LABEL: func.func @mask_all_true
// CHECK-NEXT: return %arg0
func.func @mask_all_true(%m: tensor<?xi1> {hr.name = "m", hr.dims = [#hr.size<"s0">]})
    -> (tensor<?xi1> {hr.name = "y", hr.dims = [#hr.size<"s0">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 1, 8>]} {
  %n = hr.size #hr.size<"s0">
  %e = tensor.empty(%n) : tensor<?xi64>
  %b = tensor.empty(%n) : tensor<?xi1>
  %p = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<?xi64>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %r = arith.index_cast %i : index to i64
    linalg.yield %r : i64
  } -> tensor<?xi64>
  %g = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%p : tensor<?xi64>) outs(%b : tensor<?xi1>) {
  ^bb0(%i: i64, %o: i1):
    %z = arith.constant 0 : i64
    %r = arith.cmpi sge, %i, %z : i64
    linalg.yield %r : i1
  } -> tensor<?xi1>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>],
      iterator_types = ["parallel"]} ins(%g, %m : tensor<?xi1>, tensor<?xi1>) outs(%b : tensor<?xi1>) {
  ^bb0(%i: i1, %j: i1, %o: i1):
    %r = arith.andi %i, %j : i1
    linalg.yield %r : i1
  } -> tensor<?xi1>
  return %a : tensor<?xi1>
}

// -----

// Near miss: `arange >= 1` is false at the first element.

// CHECK-LABEL: func.func @mask_not_all_true
// CHECK: arith.cmpi sge
func.func @mask_not_all_true() -> (tensor<6xi1> {hr.name = "y", hr.dims = [#hr.size<"6">]}) {
  %b = tensor.empty() : tensor<6xi1>
  %g = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%b : tensor<6xi1>) {
  ^bb0(%o: i1):
    %i = linalg.index 0 : index
    %z = arith.constant 1 : index
    %r = arith.cmpi sge, %i, %z : index
    linalg.yield %r : i1
  } -> tensor<6xi1>
  return %g : tensor<6xi1>
}

// -----

// A causal mask is computed where it is read; no tensor of it is left.

// CHECK-LABEL: func.func @causal
// CHECK: linalg.generic
// CHECK-SAME: ins(%arg0
// CHECK: linalg.index
// CHECK: arith.cmpi
// CHECK: arith.select
// CHECK-NOT: linalg.generic
func.func @causal(%x: tensor<5x5xf32> {hr.name = "x", hr.dims = [#hr.size<"5">, #hr.size<"5">]})
    -> (tensor<5x5xf32> {hr.name = "y", hr.dims = [#hr.size<"5">, #hr.size<"5">]}) {
  %e = tensor.empty() : tensor<5xi64>
  %b = tensor.empty() : tensor<5x5xi1>
  %f = tensor.empty() : tensor<5x5xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<5xi64>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %r = arith.index_cast %i : index to i64
    linalg.yield %r : i64
  } -> tensor<5xi64>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%p, %p : tensor<5xi64>, tensor<5xi64>) outs(%b : tensor<5x5xi1>) {
  ^bb0(%i: i64, %j: i64, %o: i1):
    %r = arith.cmpi sle, %i, %j : i64
    linalg.yield %r : i1
  } -> tensor<5x5xi1>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%m, %x : tensor<5x5xi1>, tensor<5x5xf32>) outs(%f : tensor<5x5xf32>) {
  ^bb0(%i: i1, %j: f32, %o: f32):
    %z = arith.constant 0.0 : f32
    %r = arith.select %i, %j, %z : f32
    linalg.yield %r : f32
  } -> tensor<5x5xf32>
  return %y : tensor<5x5xf32>
}

// -----

// Positions in bounds address a view; with a step and an offset.

// CHECK-LABEL: func.func @gather_at_positions
// CHECK-NOT: hr.gather
// CHECK: hr.view %arg0 at [#hr.size<"1">, #hr.size<"0">]
// CHECK-SAME: dims [#hr.size<"3">, #hr.size<"4">]
func.func @gather_at_positions(%x: tensor<6x4xf32> {hr.name = "x", hr.dims = [#hr.size<"6">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e = tensor.empty() : tensor<3xi64>
  %p = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<3xi64>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %c = arith.index_cast %i : index to i64
    %two = arith.constant 2 : i64
    %one = arith.constant 1 : i64
    %t = arith.muli %c, %two : i64
    %r = arith.addi %t, %one : i64
    linalg.yield %r : i64
  } -> tensor<3xi64>
  %g = hr.gather %x[%p] map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1]
      dims [#hr.size<"3">, #hr.size<"4">] what "index_select" : tensor<6x4xf32>, (tensor<3xi64>) -> tensor<3x4xf32>
  return %g : tensor<3x4xf32>
}

// -----

// Near miss: the last position is out of range for the largest size, so the
// check at run time stays.

// CHECK-LABEL: func.func @gather_beyond
// CHECK: hr.gather
func.func @gather_beyond(%x: tensor<5x4xf32> {hr.name = "x", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<?x4xf32> {hr.name = "y", hr.dims = [#hr.size<"s0">, #hr.size<"4">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 1, 6>]} {
  %n = hr.size #hr.size<"s0">
  %e = tensor.empty(%n) : tensor<?xi64>
  %p = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<?xi64>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %c = arith.index_cast %i : index to i64
    linalg.yield %c : i64
  } -> tensor<?xi64>
  %g = hr.gather %x[%p] map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1]
      dims [#hr.size<"s0">, #hr.size<"4">] what "index_select" : tensor<5x4xf32>, (tensor<?xi64>) -> tensor<?x4xf32>
  return %g : tensor<?x4xf32>
}

// -----

// x * 1 and x + -0 are x; x + 0 is not (-0 + 0 is 0).

// CHECK-LABEL: func.func @exact_only
// CHECK-NOT: arith.mulf
// CHECK: arith.addf %{{.+}}, %[[C:.+]] : f32
// CHECK-NOT: arith.addf
func.func @exact_only(%x: tensor<6xf32> {hr.name = "x", hr.dims = [#hr.size<"6">]})
    -> (tensor<6xf32> {hr.name = "y", hr.dims = [#hr.size<"6">]}) {
  %e = tensor.empty() : tensor<6xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : tensor<6xf32>) outs(%e : tensor<6xf32>) {
  ^bb0(%i: f32, %o: f32):
    %one = arith.constant 1.0 : f32
    %minus = arith.constant -0.0 : f32
    %plus = arith.constant 0.0 : f32
    %p = arith.mulf %i, %one : f32
    %q = arith.addf %p, %minus : f32
    %r = arith.addf %q, %plus : f32
    linalg.yield %r : f32
  } -> tensor<6xf32>
  return %a : tensor<6xf32>
}

// -----

// A widening cast is done where it is read; what is repeated along a dimension
// is computed once.

// CHECK-LABEL: func.func @cast_and_repeat
// CHECK: linalg.generic
// CHECK-SAME: ins(%arg0 : tensor<4xbf16>) outs(%{{.+}} : tensor<4xf32>)
// CHECK: arith.extf
// CHECK: arith.negf
// CHECK: linalg.generic
// CHECK-SAME: ins(%arg1, %{{.+}} : tensor<3x4xf32>, tensor<4xf32>)
func.func @cast_and_repeat(%x: tensor<4xbf16> {hr.name = "x", hr.dims = [#hr.size<"4">]},
                           %z: tensor<3x4xf32> {hr.name = "z", hr.dims = [#hr.size<"3">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e = tensor.empty() : tensor<4xf32>
  %f = tensor.empty() : tensor<3x4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : tensor<4xbf16>) outs(%e : tensor<4xf32>) {
  ^bb0(%i: bf16, %o: f32):
    %r = arith.extf %i : bf16 to f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<4xf32>) outs(%f : tensor<3x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  %c = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%z, %b : tensor<3x4xf32>, tensor<3x4xf32>) outs(%f : tensor<3x4xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.mulf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %c : tensor<3x4xf32>
}
