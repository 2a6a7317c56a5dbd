// Reductions, contractions, windows and attention, written out.
// RUN: headrace-opt %s --split-input-file --aten-convert-to-tensor --hr-verify-tensor | FileCheck %s

// A mean of bf16 is accumulated and divided in f32.
// CHECK-LABEL: func.func @mean
// CHECK: linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<4xf32>)
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: arith.addf %{{.+}}, %{{.+}} : f32
// CHECK: arith.divf %{{.+}}, %{{.+}} : f32
// CHECK: arith.truncf
func.func @mean(%x: tensor<4x100xbf16>) -> tensor<4x1xbf16> {
  %0 = aten.call "aten.mean.dim"(%x) [#aten.value<0>, [-1], true, #aten.none] : (tensor<4x100xbf16>) -> tensor<4x1xbf16>
  return %0 : tensor<4x1xbf16>
}

// -----

// The first index of the maximum: an associative reduction of its own.
// CHECK-LABEL: func.func @argmax
// CHECK: arith.maximumf
// CHECK: %[[I:.+]] = linalg.index 1
// CHECK: arith.minsi
func.func @argmax(%x: tensor<4x100xf32>) -> tensor<4xi64> {
  %0 = aten.call "aten.argmax.default"(%x) [#aten.value<0>, 1, false] : (tensor<4x100xf32>) -> tensor<4xi64>
  return %0 : tensor<4xi64>
}

// -----

// A bias is added in f32, before the only rounding.
// CHECK-LABEL: func.func @linear
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.mulf %{{.+}}, %{{.+}} : f32
// CHECK: linalg.yield %{{.+}} : f32
// CHECK: arith.addf %{{.+}}, %{{.+}} : f32
// CHECK: arith.truncf %{{.+}} : f32 to bf16
func.func @linear(%x: tensor<4x16xbf16>, %w: tensor<8x16xbf16>, %b: tensor<8xbf16>) -> tensor<4x8xbf16> {
  %0 = aten.call "aten.linear.default"(%x, %w, %b) [#aten.value<0>, #aten.value<1>, #aten.value<2>] : (tensor<4x16xbf16>, tensor<8x16xbf16>, tensor<8xbf16>) -> tensor<4x8xbf16>
  return %0 : tensor<4x8xbf16>
}

// -----

// Grouped heads read their key where it is: its map lacks the group.
// CHECK-DAG: #[[KEY:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d4)>
// CHECK-LABEL: func.func @grouped_heads
// CHECK-SAME: %[[Q:.+]]: tensor<1x4x5x8xf32>, %[[K:.+]]: tensor<1x2x7x8xf32>
// CHECK: hr.reshape %[[Q]] to [#hr.size<"2">, #hr.size<"2">, #hr.size<"5">, #hr.size<"8">]
// CHECK: linalg.generic {indexing_maps = [#{{.+}}, #[[KEY]], #{{.+}}], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
// CHECK: arith.maximumf
// CHECK: math.exp
// CHECK: arith.divf
func.func @grouped_heads(%q: tensor<1x4x5x8xf32>, %k: tensor<1x2x7x8xf32>, %v: tensor<1x2x7x8xf32>) -> tensor<1x4x5x8xf32> {
  %0 = aten.call "aten.scaled_dot_product_attention.default"(%q, %k, %v) [#aten.value<0>, #aten.value<1>, #aten.value<2>, #aten.none, 0.0, false, #aten.none, true]
      : (tensor<1x4x5x8xf32>, tensor<1x2x7x8xf32>, tensor<1x2x7x8xf32>) -> tensor<1x4x5x8xf32>
  return %0 : tensor<1x4x5x8xf32>
}

// -----

// Keys that the program repeats for the heads of a group are read unrepeated.
// CHECK-DAG: #[[KEY:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d4)>
// CHECK-LABEL: func.func @repeated_heads
// CHECK: indexing_maps = [#{{.+}}, #[[KEY]], #{{.+}}]
func.func @repeated_heads(%q: tensor<1x4x5x8xf32>, %k: tensor<1x2x7x8xf32>) -> tensor<1x4x5x8xf32> {
  %0 = aten.call "aten.unsqueeze.default"(%k) [#aten.value<0>, 2] : (tensor<1x2x7x8xf32>) -> tensor<1x2x1x7x8xf32>
  %1 = aten.call "aten.expand.default"(%0) [#aten.value<0>, [1, 2, 2, 7, 8], false] : (tensor<1x2x1x7x8xf32>) -> tensor<1x2x2x7x8xf32>
  %2 = aten.call "aten.reshape.default"(%1) [#aten.value<0>, [1, 4, 7, 8]] : (tensor<1x2x2x7x8xf32>) -> tensor<1x4x7x8xf32>
  %3 = aten.call "aten.scaled_dot_product_attention.default"(%q, %2, %2) [#aten.value<0>, #aten.value<1>, #aten.value<2>, #aten.none, 0.0, false, #aten.none, false]
      : (tensor<1x4x5x8xf32>, tensor<1x4x7x8xf32>, tensor<1x4x7x8xf32>) -> tensor<1x4x5x8xf32>
  return %3 : tensor<1x4x5x8xf32>
}

// -----

// A row that the mask hides wholly gives zeros.
// CHECK-LABEL: func.func @hidden_rows
// CHECK: %[[Z:.+]] = arith.cmpf oeq, %{{.+}}, %{{.+}} : f32
// CHECK: arith.divf
// CHECK: arith.select %[[Z]]
func.func @hidden_rows(%q: tensor<2x5x8xf32>, %k: tensor<2x7x8xf32>, %v: tensor<2x7x8xf32>, %m: tensor<5x7xi1>) -> tensor<2x5x8xf32> {
  %0 = aten.call "aten.scaled_dot_product_attention.default"(%q, %k, %v, %m) [#aten.value<0>, #aten.value<1>, #aten.value<2>, #aten.value<3>, 0.0, false, #aten.none, false]
      : (tensor<2x5x8xf32>, tensor<2x7x8xf32>, tensor<2x7x8xf32>, tensor<5x7xi1>) -> tensor<2x5x8xf32>
  return %0 : tensor<2x5x8xf32>
}

// -----

// A convolution is a padded input under a window map.
// CHECK-DAG: #[[IN:.+]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d4, d2 * 2 + d5, d3 * 2 + d6)>
// CHECK-LABEL: func.func @convolution
// CHECK: hr.pad
// CHECK: indexing_maps = [#[[IN]]
func.func @convolution(%x: tensor<2x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<2x4x4x4xf32> {
  %0 = aten.call "aten.conv2d.default"(%x, %w) [#aten.value<0>, #aten.value<1>, #aten.none, [2, 2], [1, 1], [1, 1], 1]
      : (tensor<2x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x4x4xf32>
  return %0 : tensor<2x4x4x4xf32>
}

// -----

// A window of one element is none: a plain contraction is left.
// CHECK-LABEL: func.func @pointwise_convolution
// CHECK-NOT: hr.pad
// CHECK: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
func.func @pointwise_convolution(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32> {
  %0 = aten.call "aten.conv2d.default"(%x, %w) [#aten.value<0>, #aten.value<1>, #aten.none, [1, 1], [0, 0], [1, 1], 1]
      : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

// A pooling window has its size from an operand that is never read.
// CHECK-LABEL: func.func @pooling
// CHECK: hr.pad %{{.+}} value 0xFF800000 : f32
// CHECK: %[[W:.+]] = tensor.empty() : tensor<3x3xf32>
// CHECK: ins(%{{.+}}, %[[W]] :
func.func @pooling(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32> {
  %0 = aten.call "aten.max_pool2d.default"(%x) [#aten.value<0>, [3, 3], [2, 2], [1, 1], [1, 1], false] : (tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32>
  return %0 : tensor<1x4x4x4xf32>
}
