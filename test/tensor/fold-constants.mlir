// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-fill-weights,hr-fold-constants)' | FileCheck %s
// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-fill-weights,hr-evaluate-entries{compare=hr-fold-constants})' -o /dev/null

// The scale and shift of a batch norm in inference: computed here, and the
// weights it was made from are gone.

// CHECK-NOT: hr.weight @variance
// CHECK: hr.weight @variance.folded : tensor<4xf32>
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @batch_norm
// CHECK: %[[C:.+]] = hr.constant [@variance.folded]
// CHECK-NOT: math.sqrt
// CHECK: linalg.generic
// CHECK-SAME: ins(%arg0, %[[C]]
hr.weight @variance {hr.value = dense<[1.0, 4.0, 9.0, 16.0]> : tensor<4xf32>} : tensor<4xf32>
hr.weight @gamma : tensor<4xf32>
func.func @batch_norm(%x: tensor<3x4xf32> {hr.name = "x", hr.dims = [#hr.size<"3">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %v = hr.constant [@variance] : tensor<4xf32>
  %g = hr.constant [@gamma] : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %f = tensor.empty() : tensor<3x4xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%v, %g : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %eps = arith.constant 1.0e-5 : f32
    %a = arith.addf %i, %eps : f32
    %b = math.sqrt %a : f32
    %r = arith.divf %j, %b : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<3x4xf32>, tensor<4xf32>) outs(%f : tensor<3x4xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.mulf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// Position ids are 0, 1, 2, ...: a computation, so that slices of them at a
// dynamic size are understood, too. Token types are all the same: a fill.

// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @integers
// CHECK: linalg.fill
// CHECK: linalg.index 1
// CHECK-NOT: hr.constant
hr.weight @position_ids {hr.value = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : tensor<1x4xi64>
hr.weight @token_types {hr.value = dense<7> : tensor<1x4xi64>} : tensor<1x4xi64>
func.func @integers(%x: tensor<1x4xi64> {hr.name = "x", hr.dims = [#hr.size<"1">, #hr.size<"4">]})
    -> (tensor<1x4xi64> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"4">]}) {
  %t = hr.constant [@token_types] : tensor<1x4xi64>
  %p = hr.constant [@position_ids] : tensor<1x4xi64>
  %e = tensor.empty() : tensor<1x4xi64>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x, %p, %t : tensor<1x4xi64>, tensor<1x4xi64>, tensor<1x4xi64>) outs(%e : tensor<1x4xi64>) {
  ^bb0(%i: i64, %j: i64, %k: i64, %o: i64):
    %a = arith.muli %i, %j : i64
    %r = arith.addi %a, %k : i64
    linalg.yield %r : i64
  } -> tensor<1x4xi64>
  return %y : tensor<1x4xi64>
}

// -----

// A transposed weight whose reader has no maps is stored transposed; a slice
// is an alias and stays one.

// CHECK: hr.weight @w :
// CHECK: hr.weight @w.folded : tensor<2x3xf32>
// CHECK-LABEL: func.func @views
// CHECK: hr.view %{{.+}} at [#hr.size<"1">, #hr.size<"0">]
// CHECK: hr.constant [@w.folded]
hr.weight @w : tensor<3x2xf32>
func.func @views() -> (tensor<6xf32> {hr.name = "y", hr.dims = [#hr.size<"6">]},
                       tensor<2x2xf32> {hr.name = "z", hr.dims = [#hr.size<"2">, #hr.size<"2">]}) {
  %w = hr.constant [@w] : tensor<3x2xf32>
  %s = hr.view %w at [#hr.size<"1">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> dims [#hr.size<"2">, #hr.size<"2">]
      : tensor<3x2xf32> to tensor<2x2xf32>
  %t = hr.view %w at [#hr.size<"0">, #hr.size<"0">] map affine_map<(d0, d1) -> (d1, d0)> dims [#hr.size<"2">, #hr.size<"3">]
      : tensor<3x2xf32> to tensor<2x3xf32>
  %n = hr.size #hr.size<"1">
  %e = tensor.empty() : tensor<2x3xf32>
  %state = hr.read_state [@s] : tensor<2x3xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%t, %state : tensor<2x3xf32>, tensor<2x3xf32>) outs(%e : tensor<2x3xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<2x3xf32>
  %y = hr.reshape %a to [#hr.size<"6">] : tensor<2x3xf32> to tensor<6xf32>
  return %y, %s : tensor<6xf32>, tensor<2x2xf32>
}
hr.state @s : tensor<2x3xf32>

// -----

// Math functions are those of our own library, so the bytes are the same on
// every host.

// CHECK: hr.weight @f.folded : tensor<4xf32>
// CHECK-LABEL: func.func @functions
// CHECK-NOT: math.tanh
// CHECK: hr.constant [@f.folded]
hr.weight @f {hr.value = dense<[1.0, 0.1, 0.01, 100.0]> : tensor<4xf32>} : tensor<4xf32>
func.func @functions() -> (tensor<4xf32> {hr.name = "y", hr.dims = [#hr.size<"4">]}) {
  %f = hr.constant [@f] : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%f : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %c = math.tanh %i : f32
    %r = math.exp %c : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

// Tables of angles, where none is very large.

// CHECK-LABEL: func.func @angles
// CHECK-NOT: math.cos
// CHECK-NOT: math.sin
// CHECK: return
hr.weight @f {hr.value = dense<[0.0, 1.0, -2.5, 1.0e+6]> : tensor<4xf32>} : tensor<4xf32>
func.func @angles() -> (tensor<4xf32> {hr.name = "y", hr.dims = [#hr.size<"4">]}) attributes {hr.symbols = []} {
  %f = hr.constant [@f] : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%f : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %c = math.cos %i : f32
    %s = math.sin %i : f32
    %r = arith.addf %c, %s : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %a : tensor<4xf32>
}
