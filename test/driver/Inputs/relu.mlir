#map = affine_map<(d0, d1) -> (d0, d1)>
func.func @main(
    %x: tensor<4x5xf32> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"5">]})
    -> (tensor<4x5xf32> {hr.name = "y", hr.dims = [#hr.size<"4">, #hr.size<"5">]})
    attributes {hr.symbols = []} {
  %empty = tensor.empty() : tensor<4x5xf32>
  %y = linalg.generic {indexing_maps = [#map, #map],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x5xf32>) outs(%empty : tensor<4x5xf32>) {
  ^bb0(%in: f32, %out: f32):
    %zero = arith.constant 0.0 : f32
    %max = arith.maximumf %in, %zero : f32
    linalg.yield %max : f32
  } -> tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}
