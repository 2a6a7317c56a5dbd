// Which loops of a convolution are lanes and rows. These lines are records of
// decisions.

// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-fill-weights,hr-prepare-stages,hr-form-stages{target=amd-zen4})' | FileCheck %s
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-fill-weights,hr-prepare-stages,hr-form-stages{target=amd-zen4},hr-tile-stages)' | FileCheck %s --check-prefix=STORE

hr.weight @plain_w : tensor<1x64x64x3x3xf32>
hr.weight @strided_w : tensor<1x64x64x3x3xf32>
hr.weight @depthwise_w : tensor<64x1x1x3x3xf32>

// Lanes are output channels, read from panels; rows are places of the image.
// CHECK: hr.stage @plain_contract_
// CHECK-SAME: #hr.nest<vector = 1, vectors = 2, row = 3, rows = 14,
func.func @plain(%x: tensor<1x64x30x30xf32> {hr.name = "x", hr.dims = [#hr.size<"1">, #hr.size<"64">, #hr.size<"30">, #hr.size<"30">]})
    -> (tensor<1x64x28x28xf32> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"64">, #hr.size<"28">, #hr.size<"28">]}) {
  %w = hr.constant [@plain_w] : tensor<1x64x64x3x3xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x64x28x28xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x64x28x28xf32>) -> tensor<1x64x28x28xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(g, o, h, w, c, i, j) -> (g, c, h * 1 + i, w * 1 + j)>, affine_map<(g, o, h, w, c, i, j) -> (g, o, c, i, j)>, affine_map<(g, o, h, w, c, i, j) -> (g, o, h, w)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%x, %w : tensor<1x64x30x30xf32>, tensor<1x64x64x3x3xf32>) outs(%f : tensor<1x64x28x28xf32>) {
  ^bb0(%p: f32, %q: f32, %s: f32):
    %r = arith.mulf %p, %q : f32
    %t = arith.addf %s, %r : f32
    linalg.yield %t : f32
  } -> tensor<1x64x28x28xf32>
  return %m : tensor<1x64x28x28xf32>
}

// Their sums are turned in registers, not scattered.
// STORE: func.func private @plain_contract_
// STORE: math.fma
// STORE: vector.shuffle
// STORE-NOT: vector.scatter
// STORE: func.func private @strided_contract_

// The same when the window moves by two.
// CHECK: hr.stage @strided_contract_
// CHECK-SAME: #hr.nest<vector = 1, vectors = 2, row = 3, rows = 14,
func.func @strided(%x: tensor<1x64x57x57xf32> {hr.name = "x", hr.dims = [#hr.size<"1">, #hr.size<"64">, #hr.size<"57">, #hr.size<"57">]})
    -> (tensor<1x64x28x28xf32> {hr.name = "y", hr.dims = [#hr.size<"1">, #hr.size<"64">, #hr.size<"28">, #hr.size<"28">]}) {
  %w = hr.constant [@strided_w] : tensor<1x64x64x3x3xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x64x28x28xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x64x28x28xf32>) -> tensor<1x64x28x28xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(g, o, h, w, c, i, j) -> (g, c, h * 2 + i, w * 2 + j)>, affine_map<(g, o, h, w, c, i, j) -> (g, o, c, i, j)>, affine_map<(g, o, h, w, c, i, j) -> (g, o, h, w)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%x, %w : tensor<1x64x57x57xf32>, tensor<1x64x64x3x3xf32>) outs(%f : tensor<1x64x28x28xf32>) {
  ^bb0(%p: f32, %q: f32, %s: f32):
    %r = arith.mulf %p, %q : f32
    %t = arith.addf %s, %r : f32
    linalg.yield %t : f32
  } -> tensor<1x64x28x28xf32>
  return %m : tensor<1x64x28x28xf32>
}

// Without channels to sum over, lanes are places: nothing else is contiguous.
// CHECK: hr.stage @depthwise_contract_
// CHECK-SAME: vector = 3, vectors = 2, row = 2, rows = 4
func.func @depthwise(%x: tensor<64x1x30x30xf32> {hr.name = "x", hr.dims = [#hr.size<"64">, #hr.size<"1">, #hr.size<"30">, #hr.size<"30">]})
    -> (tensor<64x1x28x28xf32> {hr.name = "y", hr.dims = [#hr.size<"64">, #hr.size<"1">, #hr.size<"28">, #hr.size<"28">]}) {
  %w = hr.constant [@depthwise_w] : tensor<64x1x1x3x3xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x1x28x28xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x1x28x28xf32>) -> tensor<64x1x28x28xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(g, o, h, w, c, i, j) -> (g, c, h * 1 + i, w * 1 + j)>, affine_map<(g, o, h, w, c, i, j) -> (g, o, c, i, j)>, affine_map<(g, o, h, w, c, i, j) -> (g, o, h, w)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%x, %w : tensor<64x1x30x30xf32>, tensor<64x1x1x3x3xf32>) outs(%f : tensor<64x1x28x28xf32>) {
  ^bb0(%p: f32, %q: f32, %s: f32):
    %r = arith.mulf %p, %q : f32
    %t = arith.addf %s, %r : f32
    linalg.yield %t : f32
  } -> tensor<64x1x28x28xf32>
  return %m : tensor<64x1x28x28xf32>
}
