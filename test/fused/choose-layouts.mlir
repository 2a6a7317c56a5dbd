// Values between convolutions have their channels innermost, so that each is a
// product of matrices; what the caller sees is row-major. Whether that is faster
// is a prediction: these lines are records of decisions.

// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-fill-weights,hr-prepare-stages,hr-choose-layouts{target=amd-zen3})' | FileCheck %s
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-fill-weights,hr-prepare-stages,hr-choose-layouts{target=amd-zen3},hr-form-stages{target=amd-zen3})' | FileCheck %s --check-prefix=STAGE

#pixel = affine_map<(o, h, w, c) -> (c, h, w)>
#matrix = affine_map<(o, h, w, c) -> (o, c)>
#result = affine_map<(o, h, w, c) -> (o, h, w)>
#window = affine_map<(o, h, w, c, i, j) -> (c, h + i, w + j)>
#kernel = affine_map<(o, h, w, c, i, j) -> (o, c, i, j)>
#output = affine_map<(o, h, w, c, i, j) -> (o, h, w)>

hr.weight @up : tensor<256x64xf32>
hr.weight @down : tensor<64x256xf32>
hr.weight @spatial : tensor<64x64x3x3xf32>

// CHECK: #[[WINDOW:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d4, d1 + d3, d2 + d5)>
// CHECK-LABEL: func.func @block
// CHECK-SAME: tensor<64x56x56xf32>
// CHECK: hr.repeat 4
// CHECK-SAME: (tensor<56x56x64xf32>) -> tensor<56x56x64xf32>
// CHECK: -> tensor<56x56x256xf32>
// CHECK: hr.update
// CHECK-SAME: tensor<58x58x64xf32>
// The window along the rows is innermost, the channels are next.
// CHECK: linalg.generic {indexing_maps = [#[[WINDOW]],
// CHECK: hr.yield {{.*}} : tensor<56x56x64xf32>
// CHECK: return {{.*}} : tensor<64x56x56xf32>

// Weights are stored in the order in which the loops read them.
// STAGE: linalg.unpack {{.*}} outer_dims_perm = [0, 2, 1, 3]
// STAGE-SAME: tensor<4x3x64x3x16xf32>
func.func @block(%x: tensor<64x56x56xf32> {hr.name = "x", hr.dims = [#hr.size<"64">, #hr.size<"56">, #hr.size<"56">]})
    -> (tensor<64x56x56xf32> {hr.name = "y", hr.dims = [#hr.size<"64">, #hr.size<"56">, #hr.size<"56">]}) {
  %zero = arith.constant 0.0 : f32
  %e64 = tensor.empty() : tensor<64x56x56xf32>
  %e256 = tensor.empty() : tensor<256x56x56xf32>
  %z64 = linalg.fill ins(%zero : f32) outs(%e64 : tensor<64x56x56xf32>) -> tensor<64x56x56xf32>
  %z256 = linalg.fill ins(%zero : f32) outs(%e256 : tensor<256x56x56xf32>) -> tensor<256x56x56xf32>
  %w1 = hr.constant [@up] : tensor<256x64xf32>
  %w2 = hr.constant [@down] : tensor<64x256xf32>
  %w3 = hr.constant [@spatial] : tensor<64x64x3x3xf32>
  %y = hr.repeat 4 (%x) : (tensor<64x56x56xf32>) -> tensor<64x56x56xf32> {
  ^bb0(%n: index, %a: tensor<64x56x56xf32>):
    %b = linalg.generic {indexing_maps = [#pixel, #matrix, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%a, %w1 : tensor<64x56x56xf32>, tensor<256x64xf32>) outs(%z256 : tensor<256x56x56xf32>) {
    ^bb0(%p: f32, %q: f32, %s: f32):
      %r = arith.mulf %p, %q : f32
      %t = arith.addf %s, %r : f32
      linalg.yield %t : f32
    } -> tensor<256x56x56xf32>
    %c = linalg.generic {indexing_maps = [#pixel, #matrix, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%b, %w2 : tensor<256x56x56xf32>, tensor<64x256xf32>) outs(%z64 : tensor<64x56x56xf32>) {
    ^bb0(%p: f32, %q: f32, %s: f32):
      %r = arith.mulf %p, %q : f32
      %t = arith.addf %s, %r : f32
      linalg.yield %t : f32
    } -> tensor<64x56x56xf32>
    %d = hr.pad %c low [#hr.size<"0">, #hr.size<"1">, #hr.size<"1">] high [#hr.size<"0">, #hr.size<"1">, #hr.size<"1">] value 0.0 : f32
        dims [#hr.size<"64">, #hr.size<"58">, #hr.size<"58">] : tensor<64x56x56xf32> to tensor<64x58x58xf32>
    %f = linalg.generic {indexing_maps = [#window, #kernel, #output], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
        ins(%d, %w3 : tensor<64x58x58xf32>, tensor<64x64x3x3xf32>) outs(%z64 : tensor<64x56x56xf32>) {
    ^bb0(%p: f32, %q: f32, %s: f32):
      %r = arith.mulf %p, %q : f32
      %t = arith.addf %s, %r : f32
      linalg.yield %t : f32
    } -> tensor<64x56x56xf32>
    hr.yield %f : tensor<64x56x56xf32>
  }
  return %y : tensor<64x56x56xf32>
}

// Linear layers are products of matrices already.
// CHECK-LABEL: func.func @linear
// CHECK-NOT: hr.view
// CHECK: return
func.func @linear(%x: tensor<128x64xf32> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"64">]})
    -> (tensor<128x64xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"64">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x256xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<128x256xf32>) -> tensor<128x256xf32>
  %e2 = tensor.empty() : tensor<128x64xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<128x64xf32>) -> tensor<128x64xf32>
  %w1 = hr.constant [@up] : tensor<256x64xf32>
  %w2 = hr.constant [@down] : tensor<64x256xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (j, k)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w1 : tensor<128x64xf32>, tensor<256x64xf32>) outs(%z : tensor<128x256xf32>) {
  ^bb0(%p: f32, %q: f32, %s: f32):
    %r = arith.mulf %p, %q : f32
    %t = arith.addf %s, %r : f32
    linalg.yield %t : f32
  } -> tensor<128x256xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (j, k)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %w2 : tensor<128x256xf32>, tensor<64x256xf32>) outs(%z2 : tensor<128x64xf32>) {
  ^bb0(%p: f32, %q: f32, %s: f32):
    %r = arith.mulf %p, %q : f32
    %t = arith.addf %s, %r : f32
    linalg.yield %t : f32
  } -> tensor<128x64xf32>
  return %b : tensor<128x64xf32>
}
