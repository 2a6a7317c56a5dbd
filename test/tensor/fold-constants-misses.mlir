// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-fill-weights,hr-fold-constants)' | FileCheck %s

// A result much larger than what it is made from would cost more to read than
// to compute.

// CHECK-LABEL: func.func @blow_up
// CHECK: linalg.generic
// CHECK-SAME: outs(%{{.+}} : tensor<1024x1024xf32>)
hr.weight @w : tensor<1024xf32>
func.func @blow_up(%i: tensor<1xi64> {hr.name = "i", hr.dims = [#hr.size<"1">]})
    -> (tensor<1x1024xf32> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"1024">]}) {
  %w = hr.constant [@w] : tensor<1024xf32>
  %e = tensor.empty() : tensor<1024x1024xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%w, %w : tensor<1024xf32>, tensor<1024xf32>) outs(%e : tensor<1024x1024xf32>) {
  ^bb0(%x: f32, %z: f32, %o: f32):
    %r = arith.mulf %x, %z : f32
    linalg.yield %r : f32
  } -> tensor<1024x1024xf32>
  %g = hr.gather %a[%i] map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1]
      dims [#hr.size<"1">, #hr.size<"1024">] what "x" : tensor<1024x1024xf32>, (tensor<1xi64>) -> tensor<1x1024xf32>
  return %g : tensor<1x1024xf32>
}

// -----

// An index out of range is the call's error, not the compiler's.

// CHECK-LABEL: func.func @bad_index
// CHECK: hr.gather
hr.weight @t : tensor<4xf32>
hr.weight @ids {hr.value = dense<[0, 9, 1]> : tensor<3xi64>} : tensor<3xi64>
func.func @bad_index() -> (tensor<3xf32> {hr.name = "y", hr.dims = [#hr.size<"3">]}) {
  %t = hr.constant [@t] : tensor<4xf32>
  %ids = hr.constant [@ids] : tensor<3xi64>
  %g = hr.gather %t[%ids] map affine_map<(d0) -> (0)> indices [affine_map<(d0) -> (d0)>] source_dims [0]
      dims [#hr.size<"3">] what "x" : tensor<4xf32>, (tensor<3xi64>) -> tensor<3xf32>
  return %g : tensor<3xf32>
}

// -----

// Nor is a division by zero that the data asks for, or any other condition.

// CHECK-LABEL: func.func @division
// CHECK: hr.check
// CHECK: arith.divsi
hr.weight @zeros {hr.value = dense<[2, 0, 1]> : tensor<3xi64>} : tensor<3xi64>
func.func @division() -> (tensor<3xi64> {hr.name = "y", hr.dims = [#hr.size<"3">]}) {
  %z = hr.constant [@zeros] : tensor<3xi64>
  %e = tensor.empty() : tensor<3xi64>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%z : tensor<3xi64>) outs(%e : tensor<3xi64>) {
  ^bb0(%d: i64, %o: i64):
    %zero = arith.constant 0 : i64
    %one = arith.constant 1 : i64
    %holds = arith.cmpi ne, %d, %zero : i64
    %safe = hr.check %holds, %d else %one what "div" message "zero" : i64
    %q = arith.divsi %one, %safe : i64
    linalg.yield %q : i64
  } -> tensor<3xi64>
  return %a : tensor<3xi64>
}

// -----

// The initial value of a state is no constant.

// CHECK: hr.weight @s.initial
// CHECK-LABEL: func.func @state
// CHECK: hr.read_state
// CHECK: linalg.generic
hr.weight @s.initial : tensor<4xf32>
hr.state @s : tensor<4xf32> initial(@s.initial)
func.func @state() -> (tensor<4xf32> {hr.name = "y", hr.dims = [#hr.size<"4">]}) {
  %s = hr.read_state [@s] : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%s : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

// Sine and cosine of very large arguments branch and read a table: they are
// left to run.

// CHECK-LABEL: func.func @cosine
// CHECK: math.cos
hr.weight @f {hr.value = dense<[1.0, 2.0, 1.0e+30, 3.0]> : tensor<4xf32>} : tensor<4xf32>
func.func @cosine() -> (tensor<4xf32> {hr.name = "y", hr.dims = [#hr.size<"4">]}) {
  %f = hr.constant [@f] : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%f : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = math.cos %i : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

// What no machine can hold is not computed, nor what is made of it.

// CHECK-LABEL: func.func @terabytes
// CHECK: tensor<1099511627776xf32>
// CHECK: linalg.generic
hr.weight @unused {hr.value = dense<1.0> : tensor<4xf32>} : tensor<4xf32>
func.func @terabytes() -> (tensor<f32> {hr.name = "y", hr.dims = []}) {
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1099511627776xf32>
  %f = linalg.fill ins(%one : f32) outs(%e : tensor<1099511627776xf32>) -> tensor<1099511627776xf32>
  %s = tensor.empty() : tensor<f32>
  %i = linalg.fill ins(%zero : f32) outs(%s : tensor<f32>) -> tensor<f32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%f : tensor<1099511627776xf32>) outs(%i : tensor<f32>) {
  ^bb0(%x: f32, %o: f32):
    %r = arith.addf %x, %o : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %a : tensor<f32>
}
