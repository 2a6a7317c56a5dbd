func.func @main(
    %x: tensor<4xf32> {hr.name = "x", hr.dims = [#hr.size<"4">]})
    -> (tensor<4xf32> {hr.name = "y", hr.dims = [#hr.size<"4">]})
    attributes {hr.symbols = []} {
  return %x : tensor<4xf32>
}
